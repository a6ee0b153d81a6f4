#include "src/tokenizer/jinja/runtime.h"

#include <algorithm>

#include "kernels/base/error.h"

namespace tandem::jinja {

Runtime::Runtime(const std::string& origin, std::unordered_map<std::string, Value> globals)
    : scope(std::make_shared<Scope>()), origin_(origin), globals_(std::move(globals)) {}

Runtime::~Runtime() {
    for (const auto& object : owned_) {
        if (const auto alive = object.lock()) alive->clear();
    }
}

void Runtime::refuse(std::string_view what) const { fail(Failure::Input, "{}:{}: {}", origin_, line, what); }

Value Runtime::lookup(const std::string& name) const {
    for (const Scope* s = scope.get(); s != nullptr; s = s->outer.get()) {
        if (const auto found = s->names.find(name); found != s->names.end()) return found->second;
    }
    if (const auto found = globals_.find(name); found != globals_.end()) return found->second;
    return Undefined{fmt::format("'{}' is undefined", name)};
}

Value Runtime::call(const Value& callee, Arguments arguments, std::string_view name) {
    if (callee.is_undefined()) refuse(callee.undefined().what);
    if (!callee.is_object() || !callee.object()->callable()) {
        refuse(fmt::format("{}{} cannot be called", name.empty() ? "" : fmt::format("{}, ", name), callee.type_name()));
    }
    const DepthGuard guard(*this);
    const int before = line;
    Value result = callee.object()->call(*this, std::move(arguments));
    line = before;
    return result;
}

Parameters::Parameters(Runtime& runtime, std::string_view function, const Arguments& arguments,
                       std::initializer_list<std::string_view> names)
    : runtime_(runtime), function_(function), values_(names.size()) {
    if (arguments.positional.size() > names.size()) {
        runtime.refuse(fmt::format("{}() takes at most {} arguments, {} are given", function, names.size(), arguments.positional.size()));
    }
    std::copy(arguments.positional.begin(), arguments.positional.end(), values_.begin());
    for (const auto& [name, value] : arguments.named) {
        const auto plain = [](std::string_view n) { return n.starts_with('=') ? n.substr(1) : n; };
        const auto* found =
            std::find_if(names.begin(), names.end(), [&, &wanted = name](std::string_view n) { return plain(n) == wanted; });
        if (found == names.end()) runtime.refuse(fmt::format("{}() has no argument named {}", function, name));
        auto& slot = values_[static_cast<std::size_t>(found - names.begin())];
        if (slot) runtime.refuse(fmt::format("{}() got its argument {} twice", function, name));
        slot = value;
    }
    std::size_t i = 0;
    for (const std::string_view name : names) {
        if (name.starts_with('=') && !values_[i]) runtime.refuse(fmt::format("{}() needs its argument {}", function, name.substr(1)));
        ++i;
    }
}

std::optional<std::string> Parameters::text(std::size_t i) const {
    if (!has(i) || values_[i]->is_none()) return std::nullopt;
    if (values_[i]->is_undefined()) runtime_.refuse(values_[i]->undefined().what);
    if (!values_[i]->is_string()) runtime_.refuse(fmt::format("{}() needs a str, not {}", function_, values_[i]->type_name()));
    return values_[i]->string();
}

std::string Parameters::string(std::size_t i, std::string_view fallback) const { return text(i).value_or(std::string(fallback)); }

std::int64_t Parameters::integer(std::size_t i, std::int64_t fallback) const {
    if (!has(i) || values_[i]->is_none()) return fallback;
    if (!values_[i]->is_int() && !values_[i]->is_bool()) {
        runtime_.refuse(fmt::format("{}() needs an int, not {}", function_, values_[i]->type_name()));
    }
    return values_[i]->integer();
}

}  // namespace tandem::jinja
