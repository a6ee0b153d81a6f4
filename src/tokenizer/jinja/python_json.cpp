#include <algorithm>
#include <cmath>

#include "kernels/base/error.h"
#include "src/tokenizer/jinja/python_text.h"
#include "src/tokenizer/jinja/value.h"
#include "src/tokenizer/unicode.h"

namespace tandem::jinja::python {

namespace {

class Writer {
public:
    explicit Writer(const JsonStyle& style) : style_(style) {}

    std::string run(const Value& value) {
        write(value, 0);
        return std::move(out_);
    }

private:
    void write(const Value& value, int depth) {
        if (depth > 100) fail(Failure::Input, "tojson: the value is nested more than 100 levels deep");
        if (value.is_none()) out_ += "null";
        else if (value.is_bool()) out_ += value.truth() ? "true" : "false";
        else if (value.is_int()) out_ += value.repr();
        else if (value.is_float()) out_ += number(value.number());
        else if (value.is_string()) string(value.string());
        else if (value.is_list() || value.is_tuple()) list(value.list(), depth);
        else if (value.is_dict()) dict(value.dict(), depth);
        else fail(Failure::Input, "tojson: a value of type {} is not JSON", value.type_name());
    }

    static std::string number(double x) {
        if (std::isnan(x)) return "NaN";
        if (std::isinf(x)) return x < 0 ? "-Infinity" : "Infinity";
        return float_repr(x);
    }

    void break_line(int depth) {
        if (!style_.indent) return;
        out_ += '\n';
        for (int i = 0; i < depth; ++i) out_ += *style_.indent;
    }

    void list(const List& list, int depth) {
        if (list.empty()) {
            out_ += "[]";
            return;
        }
        out_ += '[';
        for (std::size_t i = 0; i < list.size(); ++i) {
            if (i > 0) out_ += style_.item_separator;
            break_line(depth + 1);
            write(list[i], depth + 1);
        }
        break_line(depth);
        out_ += ']';
    }

    void dict(const Dict& dict, int depth) {
        auto items = dict.items();
        if (items.empty()) {
            out_ += "{}";
            return;
        }
        if (style_.sort_keys) {
            std::stable_sort(items.begin(), items.end(),
                             [](const auto& a, const auto& b) { return compare(a.first, b.first).value_or(0) < 0; });
        }
        out_ += '{';
        for (std::size_t i = 0; i < items.size(); ++i) {
            if (i > 0) out_ += style_.item_separator;
            break_line(depth + 1);
            string(key_text(items[i].first));
            out_ += style_.key_separator;
            write(items[i].second, depth + 1);
        }
        break_line(depth);
        out_ += '}';
    }

    static std::string key_text(const Value& key) {
        if (key.is_string()) return key.string();
        if (key.is_bool()) return key.truth() ? "true" : "false";
        if (key.is_none()) return "null";
        if (key.is_float()) return number(key.number());
        if (key.is_int()) return key.repr();
        fail(Failure::Input, "tojson: a {} cannot be a key of JSON", key.type_name());
    }

    void string(const std::string& text) {
        out_ += '"';
        unicode::for_each(text, [&](char32_t c, std::size_t at, std::size_t length) {
            switch (c) {
                case '"': out_ += "\\\""; break;
                case '\\': out_ += "\\\\"; break;
                case '\n': out_ += "\\n"; break;
                case '\r': out_ += "\\r"; break;
                case '\t': out_ += "\\t"; break;
                case '\b': out_ += "\\b"; break;
                case '\f': out_ += "\\f"; break;
                default: character(c, std::string_view(text).substr(at, length));
            }
        });
        out_ += '"';
    }

    void character(char32_t c, std::string_view bytes) {
        const auto code = static_cast<unsigned>(c);
        if (code >= 0x20 && (code < 0x7F || !style_.ensure_ascii)) out_ += bytes;
        else if (code < 0x10000) out_ += fmt::format("\\u{:04x}", code);
        else out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((code - 0x10000) >> 10U), 0xDC00 + ((code - 0x10000) & 0x3FFU));
    }

    const JsonStyle& style_;
    std::string out_;
};

}  // namespace

std::string json_dumps(const Value& value, const JsonStyle& style) { return Writer(style).run(value); }

}  // namespace tandem::jinja::python
