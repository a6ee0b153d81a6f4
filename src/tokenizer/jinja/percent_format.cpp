#include <fmt/ranges.h>

#include <algorithm>

#include "kernels/base/error.h"
#include "src/tokenizer/jinja/builtins.h"
#include "src/tokenizer/unicode.h"

namespace tandem::jinja {

namespace {

/// %[(name)][flags][width][.precision]kind
struct Field {
    std::optional<std::string> name;
    bool left = false, zeros = false, plus = false;
    std::size_t width = 0;
    std::optional<std::size_t> precision;
    char kind = '\0';
};

class PercentFormat {
public:
    PercentFormat(Runtime& runtime, const std::string& format, const Value& values) : runtime_(runtime), in_(format), values_(values) {}

    std::string run() {
        std::string out;
        while (at_ < in_.size()) {
            if (in_[at_] != '%') {
                out += in_[at_++];
            } else if (++at_ < in_.size() && in_[at_] == '%') {
                out += in_[at_++];
            } else {
                const Field field = read();
                out += padded(write(field), field);
            }
        }
        const std::size_t given = values_.is_tuple() ? values_.list().size() : values_.is_dict() || values_.is_list() ? 0 : 1;
        if (next_ < given) runtime_.refuse("%: more values than the format has places for");
        return out;
    }

private:
    [[nodiscard]] bool at(std::string_view any) const { return at_ < in_.size() && any.find(in_[at_]) != std::string_view::npos; }

    std::size_t number() {
        std::size_t n = 0;
        while (at("0123456789")) n = std::min<std::size_t>(n * 10 + static_cast<std::size_t>(in_[at_++] - '0'), 10000);
        return n;
    }

    Field read() {
        Field field;
        if (at("(")) {
            const std::size_t close = in_.find(')', at_);
            if (close == std::string::npos) runtime_.refuse("%: a named field without its closing bracket");
            field.name = in_.substr(at_ + 1, close - at_ - 1);
            at_ = close + 1;
        }
        for (; at("-0+ #"); ++at_) {
            field.left = field.left || in_[at_] == '-';
            field.zeros = field.zeros || in_[at_] == '0';
            field.plus = field.plus || in_[at_] == '+';
        }
        field.width = number();
        if (at(".")) {
            ++at_;
            field.precision = number();
        }
        if (at_ >= in_.size()) runtime_.refuse("%: the format ends inside a field");
        field.kind = in_[at_++];
        return field;
    }

    Value take(const Field& field) {
        if (field.name) {
            const Value* found = values_.is_dict() ? values_.dict().find(std::string_view(*field.name)) : nullptr;
            if (found == nullptr) runtime_.refuse(fmt::format("%: there is no value named {}", *field.name));
            return *found;
        }
        const std::size_t count = values_.is_tuple() ? values_.list().size() : 1;
        if (next_ >= count) runtime_.refuse("%: not enough values for the format");
        return values_.is_tuple() ? values_.list()[next_++] : (++next_, values_);
    }

    std::string write(const Field& field) {
        const Value value = take(field);
        if (field.kind == 's' || field.kind == 'r') {
            std::string text = field.kind == 's' ? value.text() : value.repr();
            if (!field.precision) return text;
            auto characters = characters_of(text);
            characters.resize(std::min(characters.size(), *field.precision));
            return fmt::format("{}", fmt::join(characters, ""));
        }
        if (!value.is_number()) runtime_.refuse(fmt::format("%{} needs a number, not {}", field.kind, value.type_name()));
        std::string text = digits(field, value);
        if (field.plus && !text.starts_with('-')) text.insert(0, "+");
        return text;
    }

    std::string digits(const Field& field, const Value& value) {
        const std::size_t precision = field.precision.value_or(6);
        switch (field.kind) {
            case 'd':
            case 'i':
                if (!value.is_float()) return fmt::format("{}", value.integer());
                if (!(value.number() > -0x1p63 && value.number() < 0x1p63)) runtime_.refuse("%d: the number is too large");
                return fmt::format("{}", static_cast<std::int64_t>(value.number()));
            case 'x':
                if (!value.is_float()) return fmt::format("{:x}", value.integer());
                break;
            case 'X':
                if (!value.is_float()) return fmt::format("{:X}", value.integer());
                break;
            case 'f':
            case 'F': return fmt::format("{:.{}f}", value.number(), precision);
            case 'e': return fmt::format("{:.{}e}", value.number(), precision);
            case 'g': return fmt::format("{:.{}g}", value.number(), precision);
            default: break;
        }
        runtime_.refuse(fmt::format("%{} of a {} is not supported", field.kind, value.type_name()));
    }

    static std::string padded(const std::string& text, const Field& field) {
        const std::size_t size = unicode::count_characters(text);
        if (size >= field.width) return text;
        const bool zeros = field.zeros && !field.left && field.kind != 's' && field.kind != 'r';
        const std::string fill(field.width - size, zeros ? '0' : ' ');
        if (field.left) return text + fill;
        const std::size_t sign = zeros && (text[0] == '-' || text[0] == '+') ? 1 : 0;
        return text.substr(0, sign) + fill + text.substr(sign);
    }

    Runtime& runtime_;
    const std::string& in_;
    const Value& values_;
    std::size_t at_ = 0, next_ = 0;
};

}  // namespace

std::string format_percent(Runtime& runtime, const std::string& format, const Value& values) {
    return PercentFormat(runtime, format, values).run();
}

}  // namespace tandem::jinja
