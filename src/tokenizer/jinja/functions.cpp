#include <ctime>

#include "kernels/base/error.h"
#include "src/tokenizer/jinja/builtins.h"

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
    runtime.own(out);
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

}  // namespace tandem::jinja
