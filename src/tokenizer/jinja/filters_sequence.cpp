#include <algorithm>

#include "kernels/base/error.h"
#include "src/tokenizer/jinja/builtins.h"
#include "src/tokenizer/jinja/python_text.h"
#include "src/tokenizer/unicode.h"

namespace tandem::jinja {

namespace {

/// "a.b.0" of an item: members by name, list items by number.
Value member(Runtime& runtime, const Value& item, const Value& path) {
    if (path.is_int()) return item_of(runtime, item, path);
    Value value = item;
    for (const auto& part : python::split(path.text(), ".", -1)) {
        const bool number = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos && part.size() < 10;
        value = item_of(runtime, value, number ? Value(static_cast<std::int64_t>(std::stoll(part))) : Value(part));
    }
    return value;
}

Value folded(const Value& value) { return value.is_string() ? Value(python::lower(value.string())) : value; }

Value length(Runtime& runtime, const Value& value, const Arguments&) {
    if (value.is_string()) return unicode::count_characters(value.string());
    if (value.is_list() || value.is_tuple()) return value.list().size();
    if (value.is_dict()) return value.dict().items().size();
    if (value.is_undefined()) return 0;
    runtime.refuse(fmt::format("a {} has no length", value.type_name()));
}

Value fallback(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const Parameters given(runtime, "default", arguments, {"default_value", "boolean"});
    const bool replaced = value.is_undefined() || (given.truth(1, false) && !value.truth());
    return !replaced ? value : given.has(0) ? given[0] : Value("");
}

Value first(Runtime& runtime, const Value& value, const Arguments&) {
    const List items = items_of(runtime, value);
    return items.empty() ? Value(Undefined{"there is no first item: the sequence is empty"}) : items.front();
}

Value last(Runtime& runtime, const Value& value, const Arguments&) {
    const List items = items_of(runtime, value);
    return items.empty() ? Value(Undefined{"there is no last item: the sequence is empty"}) : items.back();
}

Value list(Runtime& runtime, const Value& value, const Arguments&) { return items_of(runtime, value); }

Value reverse(Runtime& runtime, const Value& value, const Arguments&) {
    List items = items_of(runtime, value);
    std::reverse(items.begin(), items.end());
    if (!value.is_string()) return items;
    std::string out;
    for (const Value& item : items) out += item.text();
    return out;
}

Value join(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const Parameters given(runtime, "join", arguments, {"d", "attribute"});
    const std::string separator = given.has(0) ? given[0].text() : "";
    std::string out;
    bool begun = false;
    for (const Value& item : items_of(runtime, value)) {
        if (std::exchange(begun, true)) out += separator;
        out += (given.has(1) && !given[1].is_none() ? member(runtime, item, given[1]) : item).text();
    }
    return out;
}

Value pairs(const Dict& dict) {
    List out;
    for (const auto& [key, value] : dict.items()) out.push_back(Value::tuple({key, value}));
    return out;
}

Value items(Runtime& runtime, const Value& value, const Arguments&) {
    if (value.is_undefined()) return List{};
    if (!value.is_dict()) runtime.refuse(fmt::format("items needs a dict, not {}", value.type_name()));
    return pairs(value.dict());
}

void sort_by(Runtime& runtime, List& items, bool reverse, const std::function<Value(const Value&)>& key) {
    std::vector<std::pair<Value, Value>> keyed;
    for (const Value& item : items) keyed.emplace_back(key(item), item);
    const auto before = [&](const auto& a, const auto& b) {
        const auto order = compare(a.first, b.first);
        if (!order) runtime.refuse(fmt::format("{} and {} cannot be put in order", a.first.type_name(), b.first.type_name()));
        return reverse ? *order > 0 : *order < 0;
    };
    std::stable_sort(keyed.begin(), keyed.end(), before);
    for (std::size_t i = 0; i < items.size(); ++i) items[i] = keyed[i].second;
}

Value dictsort(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const Parameters given(runtime, "dictsort", arguments, {"case_sensitive", "by", "reverse"});
    if (!value.is_dict()) runtime.refuse(fmt::format("dictsort needs a dict, not {}", value.type_name()));
    const bool exact = given.truth(0, false);
    const std::size_t by = given.string(1, "key") == "value" ? 1 : 0;
    List out = pairs(value.dict()).list();
    sort_by(runtime, out, given.truth(2, false), [&](const Value& pair) { return exact ? pair.list()[by] : folded(pair.list()[by]); });
    return out;
}

Value sort(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const Parameters given(runtime, "sort", arguments, {"reverse", "case_sensitive", "attribute"});
    List out = items_of(runtime, value);
    sort_by(runtime, out, given.truth(0, false), [&](const Value& item) {
        const Value key = given.has(2) && !given[2].is_none() ? member(runtime, item, given[2]) : item;
        return given.truth(1, false) ? key : folded(key);
    });
    return out;
}

Value unique(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const Parameters given(runtime, "unique", arguments, {"case_sensitive", "attribute"});
    List out, seen;
    for (const Value& item : items_of(runtime, value)) {
        Value key = given.has(1) && !given[1].is_none() ? member(runtime, item, given[1]) : item;
        if (!given.truth(0, false)) key = folded(key);
        if (std::any_of(seen.begin(), seen.end(), [&](const Value& other) { return equal(key, other); })) continue;
        seen.push_back(std::move(key));
        out.push_back(item);
    }
    return out;
}

Value extreme(Runtime& runtime, const Value& value, const Arguments& arguments, bool largest) {
    const Parameters given(runtime, largest ? "max" : "min", arguments, {"case_sensitive", "attribute"});
    List sorted = items_of(runtime, value);
    if (sorted.empty()) return Undefined{"the sequence is empty"};
    sort_by(runtime, sorted, largest, [&](const Value& item) {
        const Value key = given.has(1) && !given[1].is_none() ? member(runtime, item, given[1]) : item;
        return given.truth(0, false) ? key : folded(key);
    });
    return sorted.front();
}
Value smallest(Runtime& runtime, const Value& value, const Arguments& arguments) { return extreme(runtime, value, arguments, false); }
Value largest(Runtime& runtime, const Value& value, const Arguments& arguments) { return extreme(runtime, value, arguments, true); }

Value sum(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const Parameters given(runtime, "sum", arguments, {"attribute", "start"});
    Value total = given.has(1) ? given[1] : Value(0);
    for (const Value& item : items_of(runtime, value)) {
        total = add(runtime, total, given.has(0) && !given[0].is_none() ? member(runtime, item, given[0]) : item);
    }
    return total;
}

Value batch(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const Parameters given(runtime, "batch", arguments, {"=linecount", "fill_with"});
    const auto size = static_cast<std::size_t>(std::max<std::int64_t>(given.integer(0, 1), 1));
    List out, row;
    for (const Value& item : items_of(runtime, value)) {
        row.push_back(item);
        if (row.size() == size) out.emplace_back(std::exchange(row, {}));
    }
    if (!row.empty()) {
        while (given.has(1) && !given[1].is_none() && row.size() < size) row.push_back(given[1]);
        out.emplace_back(std::move(row));
    }
    return out;
}

/// What map, select and their like go through: whatever is false counts as empty.
List items_if_any(Runtime& runtime, const Value& value) { return value.truth() ? items_of(runtime, value) : List{}; }

/// The arguments behind the first one, for the filter or test that a filter applies to each item.
Arguments behind_first(const Arguments& arguments) {
    Arguments out = arguments;
    if (!out.positional.empty()) out.positional.erase(out.positional.begin());
    return out;
}

Value map(Runtime& runtime, const Value& value, const Arguments& arguments) {
    List out;
    if (arguments.positional.empty()) {
        const Parameters given(runtime, "map", arguments, {"=attribute", "default"});
        // Positions do not apply here: both arguments have names.
        for (const Value& item : items_if_any(runtime, value)) {
            Value found = member(runtime, item, given[0]);
            out.push_back(found.is_undefined() && given.has(1) ? given[1] : std::move(found));
        }
        return out;
    }
    const std::string name = arguments.positional[0].text();
    const Arguments rest = behind_first(arguments);
    for (const Value& item : items_if_any(runtime, value)) out.push_back(apply_filter(runtime, name, item, rest));
    return out;
}

/// Items for which a test holds (or does not); without a test, their own truth. `by_attribute`: the first argument names the
/// member that is tested.
template <bool Keep, bool ByAttribute>
Value choose(Runtime& runtime, const Value& value, const Arguments& arguments) {
    Arguments rest = arguments;
    Value path;
    if (ByAttribute) {
        if (rest.positional.empty()) runtime.refuse("selectattr and rejectattr need the name of an attribute");
        path = rest.positional.front();
        rest = behind_first(rest);
    }
    const std::optional<std::string> test = rest.positional.empty() ? std::nullopt : std::optional(rest.positional[0].text());
    rest = behind_first(rest);
    List out;
    for (const Value& item : items_if_any(runtime, value)) {
        const Value tested = ByAttribute ? member(runtime, item, path) : item;
        if ((test ? apply_test(runtime, *test, tested, rest) : tested.truth()) == Keep) out.push_back(item);
    }
    return out;
}

Value attribute(Runtime& runtime, const Value& value, const Arguments& arguments) {
    return attribute_of(runtime, value, Parameters(runtime, "attr", arguments, {"=name"}).string(0, ""));
}

Value groupby(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const Parameters given(runtime, "groupby", arguments, {"=attribute", "default", "case_sensitive"});
    List sorted = items_of(runtime, value), out;
    const auto key = [&](const Value& item) {
        Value found = member(runtime, item, given[0]);
        if (found.is_undefined() && given.has(1)) found = given[1];
        return given.truth(2, false) ? found : folded(found);
    };
    sort_by(runtime, sorted, false, key);
    for (std::size_t begin = 0; begin < sorted.size();) {
        std::size_t end = begin + 1;
        while (end < sorted.size() && equal(key(sorted[begin]), key(sorted[end]))) ++end;
        List group(sorted.begin() + static_cast<std::ptrdiff_t>(begin), sorted.begin() + static_cast<std::ptrdiff_t>(end));
        out.push_back(Value::tuple({member(runtime, sorted[begin], given[0]), std::move(group)}));
        begin = end;
    }
    return out;
}

}  // namespace

FilterFunction find_sequence_filter(std::string_view name) {
    static const std::unordered_map<std::string_view, FilterFunction> table = {
        {"length", length},
        {"count", length},
        {"default", fallback},
        {"d", fallback},
        {"first", first},
        {"last", last},
        {"list", list},
        {"reverse", reverse},
        {"join", join},
        {"items", items},
        {"dictsort", dictsort},
        {"sort", sort},
        {"unique", unique},
        {"min", smallest},
        {"max", largest},
        {"sum", sum},
        {"batch", batch},
        {"map", map},
        {"attr", attribute},
        {"groupby", groupby},
        {"select", choose<true, false>},
        {"reject", choose<false, false>},
        {"selectattr", choose<true, true>},
        {"rejectattr", choose<false, true>},
    };
    const auto found = table.find(name);
    return found == table.end() ? nullptr : found->second;
}

}  // namespace tandem::jinja
