#include <ctime>

#include "kernels/base/error.h"
#include "src/tokenizer/jinja/builtins.h"
#include "src/tokenizer/unicode.h"

namespace tandem::jinja {

namespace {

Value range(Runtime& runtime, Arguments arguments) {
    const auto& given = arguments.positional;
    if (given.empty() || given.size() > 3 || !arguments.named.empty()) runtime.refuse("range() takes one to three arguments");
    for (const Value& value : given) {
        if (!value.is_int() && !value.is_bool()) runtime.refuse(fmt::format("range() needs integers, not {}", value.type_name()));
    }
    const std::int64_t begin = given.size() > 1 ? given[0].integer() : 0, end = given[given.size() > 1 ? 1 : 0].integer();
    const std::int64_t step = given.size() > 2 ? given[2].integer() : 1;
    if (step == 0) runtime.refuse("range() needs a step that is not zero");
    List out;
    for (std::int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
        if (out.size() >= 100000) runtime.refuse("range() of more than 100000 numbers");
        out.emplace_back(i);
    }
    return out;
}

/// dict(...) and namespace(...): members of a dict or of pairs, then those given by name.
Dict members(Runtime& runtime, const Arguments& arguments) {
    Dict out;
    if (arguments.positional.size() > 1) runtime.refuse("dict() and namespace() take one argument without a name");
    for (const Value& value : arguments.positional) {
        if (value.is_dict()) {
            out = value.dict();
            continue;
        }
        for (const Value& pair : items_of(runtime, value)) {
            const List both = items_of(runtime, pair);
            if (both.size() != 2) runtime.refuse("dict() needs pairs of key and value");
            out.set(both[0], both[1]);
        }
    }
    for (const auto& [name, value] : arguments.named) out.set(name, value);
    return out;
}

Value make_namespace(Runtime& runtime, Arguments arguments) {
    auto out = std::make_shared<Namespace>();
    const Dict given = members(runtime, arguments);
    for (const auto& [key, value] : given.items()) out->set(key.text(), value);
    return Value(std::static_pointer_cast<Object>(out));
}

Value raise_exception(Runtime& runtime, Arguments arguments) {
    const Parameters given(runtime, "raise_exception", arguments, {"=message"});
    runtime.refuse(fmt::format("the chat template refuses these messages: {}", given[0].text()));
}

Value strftime_now(Runtime& runtime, Arguments arguments) {
    const std::string format = Parameters(runtime, "strftime_now", arguments, {"=format"}).string(0, "");
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    if (localtime_r(&now, &local) == nullptr) runtime.refuse("the local time is not known");
    std::string text(256 + format.size() * 32, '\0');
    text.resize(format.empty() ? 0 : std::strftime(text.data(), text.size(), format.c_str(), &local));
    return text;
}

Value function(const char* name, Value (*body)(Runtime&, Arguments)) {
    return Value(std::shared_ptr<Object>(std::make_shared<Function>(name, body)));
}

/// joiner(): nothing the first time, then the separator.
Value joiner(Runtime& runtime, Arguments arguments) {
    const std::string separator = Parameters(runtime, "joiner", arguments, {"sep"}).string(0, ", ");
    auto used = std::make_shared<bool>(false);
    return Value(std::shared_ptr<Object>(std::make_shared<Function>(
        "joiner", [separator, used](Runtime&, Arguments) { return Value(std::exchange(*used, true) ? separator : std::string()); })));
}

}  // namespace

std::unordered_map<std::string, Value> global_functions() {
    return {{"range", function("range", range)},
            {"dict", function("dict", [](Runtime& runtime, Arguments arguments) { return Value(members(runtime, arguments)); })},
            {"namespace", function("namespace", make_namespace)},
            {"raise_exception", function("raise_exception", raise_exception)},
            {"strftime_now", function("strftime_now", strftime_now)},
            {"joiner", function("joiner", joiner)}};
}

namespace {

std::string padded(std::string text, std::size_t width, bool left, bool zeros) {
    const std::size_t size = unicode::count_characters(text);
    if (size >= width) return text;
    const std::string fill(width - size, zeros && !left ? '0' : ' ');
    if (left) return text + fill;
    const bool sign = zeros && !text.empty() && (text[0] == '-' || text[0] == '+');
    return sign ? text[0] + fill + text.substr(1) : fill + text;
}

}  // namespace

std::string format_percent(Runtime& runtime, const std::string& format, const Value& values) {
    std::string out;
    std::size_t next = 0;
    const auto take = [&]() -> Value {
        if (!values.is_tuple()) return next++ == 0 ? values : (runtime.refuse("%: not enough values for the format"), Value());
        if (next >= values.list().size()) runtime.refuse("%: not enough values for the format");
        return values.list()[next++];
    };
    for (std::size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%') {
            out += format[i];
            continue;
        }
        if (++i < format.size() && format[i] == '%') {
            out += '%';
            continue;
        }
        std::optional<Value> named;
        if (i < format.size() && format[i] == '(') {
            const std::size_t close = format.find(')', i);
            if (close == std::string::npos || !values.is_dict()) runtime.refuse("%: a named field needs a dict and a closing bracket");
            const Value* found = values.dict().find(std::string_view(format).substr(i + 1, close - i - 1));
            if (found == nullptr) runtime.refuse("%: a named field is not in the dict");
            named = *found;
            i = close + 1;
        }
        bool left = false, zeros = false, plus = false;
        for (; i < format.size() && std::string_view("-0+ #").find(format[i]) != std::string_view::npos; ++i) {
            left = left || format[i] == '-';
            zeros = zeros || format[i] == '0';
            plus = plus || format[i] == '+';
        }
        const auto number = [&] {
            std::size_t n = 0;
            while (i < format.size() && format[i] >= '0' && format[i] <= '9')
                n = std::min<std::size_t>(n * 10 + static_cast<std::size_t>(format[i++] - '0'), 10000);
            return n;
        };
        const std::size_t width = number();
        std::optional<std::size_t> precision;
        if (i < format.size() && format[i] == '.') {
            ++i;
            precision = number();
        }
        const char kind = i < format.size() ? format[i] : '\0';
        const Value value = named ? *named : take();
        std::string text;
        if (kind == 's') text = value.text();
        else if (kind == 'r') text = value.repr();
        else if (!value.is_number()) runtime.refuse(fmt::format("%{} needs a number, not {}", kind, value.type_name()));
        else if (kind == 'd' || kind == 'i')
            text = fmt::format("{}", value.is_float() ? static_cast<std::int64_t>(value.number()) : value.integer());
        else if (kind == 'x' && !value.is_float()) text = fmt::format("{:x}", value.integer());
        else if (kind == 'X' && !value.is_float()) text = fmt::format("{:X}", value.integer());
        else if (kind == 'f' || kind == 'F') text = fmt::format("{:.{}f}", value.number(), precision.value_or(6));
        else if (kind == 'e') text = fmt::format("{:.{}e}", value.number(), precision.value_or(6));
        else if (kind == 'g') text = fmt::format("{:.{}g}", value.number(), precision.value_or(6));
        else runtime.refuse(fmt::format("%{} is not supported", kind));
        if (plus && value.is_number() && !text.starts_with('-') && kind != 's' && kind != 'r') text.insert(0, "+");
        if (precision && kind == 's') {
            auto characters = characters_of(text);
            if (characters.size() > *precision) characters.resize(*precision);
            text = fmt::format("{}", fmt::join(characters, ""));
        }
        out += padded(std::move(text), width, left, zeros && kind != 's' && kind != 'r');
    }
    const std::size_t given = values.is_tuple() ? values.list().size() : values.is_dict() || values.is_list() ? 0 : 1;
    if (next < given) runtime.refuse("%: more values than the format has places for");
    return out;
}

}  // namespace tandem::jinja
