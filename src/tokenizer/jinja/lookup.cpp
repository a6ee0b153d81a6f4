// Attributes, items, iteration and membership.
#include <algorithm>

#include "kernels/base/error.h"
#include "src/tokenizer/jinja/builtins.h"
#include "src/tokenizer/unicode.h"

namespace tandem::jinja {

std::optional<Value> Namespace::attribute(std::string_view name) const {
    const auto found = values_.find(std::string(name));
    return found == values_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::string> characters_of(std::string_view text) {
    std::vector<std::string> out;
    out.reserve(text.size());
    unicode::for_each(text, [&](char32_t, std::size_t at, std::size_t length) { out.emplace_back(text.substr(at, length)); });
    return out;
}

namespace {

const Value* list_item(const List& list, std::int64_t index) {
    const auto size = static_cast<std::int64_t>(list.size());
    if (index < 0) index += size;
    return index >= 0 && index < size ? &list[static_cast<std::size_t>(index)] : nullptr;
}

Value missing(const Value& owner, const std::string& name) {
    return Undefined{fmt::format("'{} object' has no attribute '{}'", owner.type_name(), name)};
}

}  // namespace

Value attribute_of(Runtime& runtime, const Value& value, const std::string& name) {
    if (value.is_undefined()) runtime.refuse(value.undefined().what);
    if (value.is_object()) return value.object()->attribute(name).value_or(missing(value, name));
    if (auto method = method_of(runtime, value, name)) return std::move(*method);
    if (value.is_dict()) {
        if (const Value* member = value.dict().find(std::string_view(name))) return *member;
    }
    return missing(value, name);
}

Value item_of(Runtime& runtime, const Value& value, const Value& index) {
    if (value.is_undefined()) runtime.refuse(value.undefined().what);
    const bool integer = index.is_int() || index.is_bool();
    if (value.is_dict()) {
        if (const Value* member = value.dict().find(index)) return *member;
    } else if ((value.is_list() || value.is_tuple()) && integer) {
        if (const Value* item = list_item(value.list(), index.integer())) return *item;
        return Undefined{fmt::format("the {} has no item {}", value.type_name(), index.integer())};
    } else if (value.is_string() && integer) {
        const auto characters = characters_of(value.string());
        const auto size = static_cast<std::int64_t>(characters.size());
        const std::int64_t at = index.integer() < 0 ? index.integer() + size : index.integer();
        if (at >= 0 && at < size) return characters[static_cast<std::size_t>(at)];
        return Undefined{fmt::format("the str has no character {}", index.integer())};
    }
    if (index.is_string()) return attribute_of(runtime, value, index.string());
    return missing(value, index.text());
}

List items_of(Runtime& runtime, const Value& value) {
    if (value.is_undefined()) return {};
    if (value.is_list() || value.is_tuple()) return value.list();
    List out;
    if (value.is_dict()) {
        for (const auto& item : value.dict().items()) out.push_back(item.first);
        return out;
    }
    if (!value.is_string()) runtime.refuse(fmt::format("a {} cannot be iterated over", value.type_name()));
    for (auto& character : characters_of(value.string())) out.emplace_back(std::move(character));
    return out;
}

bool contains(Runtime& runtime, const Value& container, const Value& item) {
    if (container.is_string()) {
        if (!item.is_string()) {
            runtime.refuse(item.is_undefined() ? item.undefined().what : fmt::format("'in' a str needs a str, not {}", item.type_name()));
        }
        return container.string().find(item.string()) != std::string::npos;
    }
    if (container.is_dict()) return container.dict().find(item) != nullptr;
    if (container.is_undefined()) return false;
    if (!container.is_list() && !container.is_tuple()) runtime.refuse(fmt::format("'in' is not defined for a {}", container.type_name()));
    return std::any_of(container.list().begin(), container.list().end(), [&](const Value& other) { return equal(item, other); });
}

std::string joined(Runtime& runtime, const std::string& a, const std::string& b) {
    if (a.size() + b.size() > kLongestText) runtime.refuse("a text is too long");
    return a + b;
}

Value add(Runtime& runtime, const Value& a, const Value& b) {
    if (a.is_string() && b.is_string()) return joined(runtime, a.string(), b.string());
    if ((a.is_list() && b.is_list()) || (a.is_tuple() && b.is_tuple())) {
        List out = a.list();
        out.insert(out.end(), b.list().begin(), b.list().end());
        return a.is_tuple() ? Value::tuple(std::move(out)) : Value(std::move(out));
    }
    if (a.is_number() && b.is_number()) {
        std::int64_t sum = 0;
        if (a.is_float() || b.is_float() || __builtin_add_overflow(a.integer(), b.integer(), &sum)) return a.number() + b.number();
        return sum;
    }
    runtime.refuse(fmt::format("+ is not defined for {} and {}", a.type_name(), b.type_name()));
}

}  // namespace tandem::jinja
