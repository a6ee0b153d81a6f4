#include "src/tokenizer/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/base/error.h"
#include "src/tokenizer/jinja/python_text.h"

namespace tandem::jinja {

std::optional<Value> Object::attribute(std::string_view) const { return std::nullopt; }
Value Object::call(Runtime&, Arguments) const { fail(Failure::Run, "a {} cannot be called", kind()); }

const Value* Dict::find(const Value& key) const {
    for (const auto& [k, v] : items_) {
        if (equal(k, key)) return &v;
    }
    return nullptr;
}

const Value* Dict::find(std::string_view key) const {
    for (const auto& [k, v] : items_) {
        if (k.is_string() && k.string() == key) return &v;
    }
    return nullptr;
}

void Dict::set(Value key, Value value) {
    for (auto& [k, v] : items_) {
        if (equal(k, key)) {
            v = std::move(value);
            return;
        }
    }
    items_.emplace_back(std::move(key), std::move(value));
}

Value Value::tuple(List list) {
    Value out;
    out.data_ = Tuple{std::make_shared<const List>(std::move(list))};
    return out;
}

Value Value::from_json(const nlohmann::ordered_json& json) {
    switch (json.type()) {
        case nlohmann::json::value_t::boolean: return json.get<bool>();
        case nlohmann::json::value_t::number_integer: return json.get<std::int64_t>();
        case nlohmann::json::value_t::number_unsigned: {
            const auto n = json.get<std::uint64_t>();
            return n >> 63U == 0 ? Value(static_cast<std::int64_t>(n)) : Value(static_cast<double>(n));
        }
        case nlohmann::json::value_t::number_float: return json.get<double>();
        case nlohmann::json::value_t::string: return json.get<std::string>();
        case nlohmann::json::value_t::array: {
            List list;
            for (const auto& item : json) list.push_back(from_json(item));
            return list;
        }
        case nlohmann::json::value_t::object: {
            Dict dict;
            for (const auto& [key, item] : json.items()) dict.set(key, from_json(item));
            return dict;
        }
        default: return None{};
    }
}

const List& Value::list() const {
    if (const auto* tuple = std::get_if<Tuple>(&data_)) return *tuple->list;
    return *std::get<std::shared_ptr<const List>>(data_);
}

std::int64_t Value::integer() const { return is_bool() ? std::get<bool>(data_) : std::get<std::int64_t>(data_); }
double Value::number() const { return is_float() ? std::get<double>(data_) : static_cast<double>(integer()); }

bool Value::truth() const {
    if (is_undefined() || is_none()) return false;
    if (is_number()) return number() != 0;
    if (is_string()) return !string().empty();
    if (is_list() || is_tuple()) return !list().empty();
    if (is_dict()) return !dict().items().empty();
    return true;
}

std::string_view Value::type_name() const {
    static constexpr std::string_view kNames[] = {"undefined", "NoneType", "bool", "int", "float", "str", "list", "tuple", "dict"};
    return is_object() ? object()->kind() : kNames[data_.index()];
}

std::string Value::text() const {
    if (is_undefined()) return "";
    return is_string() ? string() : repr();
}

std::string Value::repr() const {
    const auto joined = [](const List& list) {
        std::string out;
        for (const Value& item : list) out += (out.empty() ? "" : ", ") + item.repr();
        return out;
    };
    if (is_undefined()) return "Undefined";
    if (is_none()) return "None";
    if (is_bool()) return truth() ? "True" : "False";
    if (is_int()) return fmt::format("{}", integer());
    if (is_float()) return python::float_repr(number());
    if (is_string()) return python::string_repr(string());
    if (is_list()) return "[" + joined(list()) + "]";
    if (is_tuple()) return "(" + joined(list()) + (list().size() == 1 ? ",)" : ")");
    if (is_dict()) {
        std::string out;
        for (const auto& [key, value] : dict().items()) out += (out.empty() ? "" : ", ") + key.repr() + ": " + value.repr();
        return "{" + out + "}";
    }
    return fmt::format("<{}>", object()->kind());
}

bool equal(const Value& a, const Value& b) {
    if (a.is_number() && b.is_number()) {
        return !a.is_float() && !b.is_float() ? a.integer() == b.integer() : a.number() == b.number();
    }
    if (a.is_string() && b.is_string()) return a.string() == b.string();
    if ((a.is_list() && b.is_list()) || (a.is_tuple() && b.is_tuple())) {
        return std::equal(a.list().begin(), a.list().end(), b.list().begin(), b.list().end(), equal);
    }
    if (a.is_dict() && b.is_dict()) {
        const auto& items = a.dict().items();
        return items.size() == b.dict().items().size() && std::all_of(items.begin(), items.end(), [&](const auto& item) {
                   const Value* other = b.dict().find(item.first);
                   return other != nullptr && equal(item.second, *other);
               });
    }
    if (a.is_object() && b.is_object()) return a.object() == b.object();
    return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

std::optional<int> compare(const Value& a, const Value& b) {
    const auto sign = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
    if (a.is_number() && b.is_number()) {
        return !a.is_float() && !b.is_float() ? sign(a.integer(), b.integer()) : sign(a.number(), b.number());
    }
    if (a.is_string() && b.is_string()) return sign(a.string(), b.string());  // UTF-8 orders as code points do
    if ((a.is_list() && b.is_list()) || (a.is_tuple() && b.is_tuple())) {
        const std::size_t common = std::min(a.list().size(), b.list().size());
        for (std::size_t i = 0; i < common; ++i) {
            if (!equal(a.list()[i], b.list()[i])) return compare(a.list()[i], b.list()[i]);
        }
        return sign(a.list().size(), b.list().size());
    }
    return std::nullopt;
}

}  // namespace tandem::jinja
