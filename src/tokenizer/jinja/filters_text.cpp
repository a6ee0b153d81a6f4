#include <algorithm>
#include <cmath>

#include "kernels/base/error.h"
#include "src/tokenizer/jinja/builtins.h"
#include "src/tokenizer/jinja/python_text.h"
#include "src/tokenizer/unicode.h"

namespace tandem::jinja {

namespace {

Value trim(Runtime& runtime, const Value& value, const Arguments& arguments) {
    return python::strip(value.text(), python::Side::Both, Parameters(runtime, "trim", arguments, {"chars"}).text(0));
}

template <std::string (*Change)(std::string_view)>
Value change(Runtime& runtime, const Value& value, const Arguments& arguments) {
    (void)Parameters(runtime, "the filter", arguments, {});
    return Change(value.text());
}

/// Jinja's title: words end at white space, hyphens and opening brackets, unlike str.title().
Value title(Runtime&, const Value& value, const Arguments&) {
    std::string out, word;
    const auto flush = [&] {
        out += python::capitalize(word);
        word.clear();
    };
    unicode::for_each(value.text(), [&](char32_t c, std::size_t, std::size_t) {
        const bool separates = c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || python::is_space(c);
        if (!separates) return unicode::append(word, c);
        flush();
        unicode::append(out, c);
    });
    flush();
    return out;
}

Value replace(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const Parameters given(runtime, "replace", arguments, {"=old", "=new", "count"});
    return python::replace(value.text(), given[0].text(), given[1].text(), given.integer(2, -1));
}

Value indent(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const Parameters given(runtime, "indent", arguments, {"width", "first", "blank"});
    if (!value.is_string()) runtime.refuse(fmt::format("indent needs a str, not {}", value.type_name()));
    const std::string width = given.has(0) && given[0].is_string()
                                  ? given[0].string()
                                  : std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(given.integer(0, 4), 0, 1000)), ' ');
    const bool blank = given.truth(2, false);
    // A last newline ends a line that is there; Jinja adds one so that it is not lost.
    const auto lines = python::split_lines(value.text() + "\n", false);
    std::string out;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (i > 0) out += "\n";
        if (i == 0 ? given.truth(1, false) : blank || !lines[i].empty()) out += width;
        out += lines[i];
    }
    return out;
}

Value escape(Runtime&, const Value& value, const Arguments&) {
    std::string out;
    for (const char c : value.text()) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&#34;"; break;
            case '\'': out += "&#39;"; break;
            default: out += c;
        }
    }
    return out;
}

Value tojson(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const Parameters given(runtime, "tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
    python::JsonStyle style;
    style.ensure_ascii = given.truth(0, false);
    if (given.has(1) && !given[1].is_none()) {
        style.indent = given[1].is_string()
                           ? given[1].string()
                           : std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(given.integer(1, 0), 0, 1000)), ' ');
        style.item_separator = ",";
    }
    if (given.has(2) && !given[2].is_none()) {
        const List separators = items_of(runtime, given[2]);
        if (separators.size() != 2) runtime.refuse("tojson() needs two separators");
        style.item_separator = separators[0].text();
        style.key_separator = separators[1].text();
    }
    style.sort_keys = given.truth(3, false);
    try {
        return python::json_dumps(value, style);
    } catch (const Error& error) {
        runtime.refuse(error.what());
    }
}

Value to_int(Runtime& runtime, const Value& value, const Arguments& arguments) {
    if (value.is_undefined()) runtime.refuse(value.undefined().what);
    const Parameters given(runtime, "int", arguments, {"default", "base"});
    const Value fallback = given.has(0) ? given[0] : Value(0);
    if (value.is_int() || value.is_bool()) return value.integer();
    if (value.is_float()) return std::abs(value.number()) < 0x1p63 ? Value(static_cast<std::int64_t>(value.number())) : fallback;
    if (!value.is_string()) return fallback;
    const std::string text = python::strip(value.string(), python::Side::Both);
    char* end = nullptr;
    const std::int64_t whole = std::strtoll(text.c_str(), &end, static_cast<int>(given.integer(1, 10)));
    if (!text.empty() && *end == '\0') return whole;
    const double number = std::strtod(text.c_str(), &end);
    return !text.empty() && *end == '\0' && std::abs(number) < 0x1p63 ? Value(static_cast<std::int64_t>(number)) : fallback;
}

Value to_float(Runtime& runtime, const Value& value, const Arguments& arguments) {
    if (value.is_undefined()) runtime.refuse(value.undefined().what);
    const Parameters given(runtime, "float", arguments, {"default"});
    if (value.is_number()) return value.number();
    const std::string text = value.is_string() ? python::strip(value.string(), python::Side::Both) : "";
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (!text.empty() && *end == '\0') return number;
    return given.has(0) ? given[0] : Value(0.0);
}

Value round(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const Parameters given(runtime, "round", arguments, {"precision", "method"});
    if (!value.is_number()) runtime.refuse(fmt::format("round needs a number, not {}", value.type_name()));
    const auto precision = given.integer(0, 0);
    const std::string method = given.string(1, "common");
    const double scale = std::pow(10.0, static_cast<double>(precision));
    if (method == "ceil") return std::ceil(value.number() * scale) / scale;
    if (method == "floor") return std::floor(value.number() * scale) / scale;
    if (method != "common") runtime.refuse(fmt::format("round: the method {} is not common, ceil or floor", method));
    if (!value.is_float() && precision >= 0) return value.integer();
    if (precision < 0 && !value.is_float()) return static_cast<std::int64_t>(std::nearbyint(value.number() * scale) / scale);
    if (precision < 0) return std::nearbyint(value.number() * scale) / scale;
    // Python rounds the decimal digits of the exact value, as printf does.
    return std::strtod(fmt::format("{:.{}f}", value.number(), std::min<std::int64_t>(precision, 300)).c_str(), nullptr);
}

Value absolute(Runtime& runtime, const Value& value, const Arguments&) {
    if (!value.is_number()) runtime.refuse(fmt::format("abs needs a number, not {}", value.type_name()));
    if (value.is_float()) return std::abs(value.number());
    return std::abs(value.integer());
}

Value format(Runtime& runtime, const Value& value, const Arguments& arguments) {
    if (!arguments.named.empty()) {
        Dict named;
        for (const auto& [name, argument] : arguments.named) named.set(name, argument);
        return format_percent(runtime, value.text(), named);
    }
    return format_percent(runtime, value.text(), Value::tuple(arguments.positional));
}

Value center(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const std::string text = value.text();
    const auto size = static_cast<std::int64_t>(unicode::count_characters(text));
    const std::int64_t width = std::min<std::int64_t>(Parameters(runtime, "center", arguments, {"width"}).integer(0, 80), 100000);
    if (width <= size) return text;
    const std::int64_t pad = width - size, left = pad / 2 + (pad & width & 1);
    return std::string(static_cast<std::size_t>(left), ' ') + text + std::string(static_cast<std::size_t>(pad - left), ' ');
}

Value as_text(Runtime&, const Value& value, const Arguments&) { return value.text(); }
Value word_count(Runtime&, const Value& value, const Arguments&) {
    std::int64_t words = 0;
    bool inside = false;
    unicode::for_each(value.text(), [&](char32_t c, std::size_t, std::size_t) {
        const bool word = python::is_alpha(c) || unicode::is_numeric(c) || c == '_';
        words += word && !inside ? 1 : 0;
        inside = word;
    });
    return words;
}

}  // namespace

FilterFunction find_text_filter(std::string_view name) {
    static const std::unordered_map<std::string_view, FilterFunction> table = {
        {"trim", trim},
        {"lower", change<python::lower>},
        {"upper", change<python::upper>},
        {"capitalize", change<python::capitalize>},
        {"title", title},
        {"replace", replace},
        {"indent", indent},
        {"escape", escape},
        {"e", escape},
        {"forceescape", escape},
        {"tojson", tojson},
        {"int", to_int},
        {"float", to_float},
        {"round", round},
        {"abs", absolute},
        {"format", format},
        {"center", center},
        {"string", as_text},
        {"safe", as_text},
        {"wordcount", word_count},
    };
    const auto found = table.find(name);
    return found == table.end() ? nullptr : found->second;
}

Value apply_filter(Runtime& runtime, const std::string& name, const Value& value, const Arguments& arguments) {
    FilterFunction function = find_text_filter(name);
    if (function == nullptr) function = find_sequence_filter(name);
    if (function == nullptr) runtime.refuse(fmt::format("the filter {} is not supported", name));
    return function(runtime, value, arguments);
}

}  // namespace tandem::jinja
