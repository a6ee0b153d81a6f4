#include <algorithm>

#include "kernels/base/error.h"
#include "src/tokenizer/jinja/builtins.h"
#include "src/tokenizer/jinja/python_text.h"

namespace tandem::jinja {

namespace {

using Predicate = bool (*)(const Value&);

const std::unordered_map<std::string_view, Predicate>& predicates() {
    static const std::unordered_map<std::string_view, Predicate> table = {
        {"defined", [](const Value& v) { return !v.is_undefined(); }},
        {"undefined", [](const Value& v) { return v.is_undefined(); }},
        {"none", [](const Value& v) { return v.is_none(); }},
        {"boolean", [](const Value& v) { return v.is_bool(); }},
        {"true", [](const Value& v) { return v.is_bool() && v.truth(); }},
        {"false", [](const Value& v) { return v.is_bool() && !v.truth(); }},
        {"integer", [](const Value& v) { return v.is_int(); }},
        {"float", [](const Value& v) { return v.is_float(); }},
        {"number", [](const Value& v) { return v.is_number(); }},
        {"string", [](const Value& v) { return v.is_string(); }},
        {"mapping", [](const Value& v) { return v.is_dict(); }},
        {"sequence", [](const Value& v) { return v.is_list() || v.is_tuple() || v.is_string() || v.is_dict() || v.is_undefined(); }},
        {"iterable", [](const Value& v) { return v.is_list() || v.is_tuple() || v.is_string() || v.is_dict() || v.is_undefined(); }},
        {"callable", [](const Value& v) { return v.is_object() && v.object()->callable(); }},
        {"escaped", [](const Value&) { return false; }},
        {"lower", [](const Value& v) { return v.text() == python::lower(v.text()) && v.text() != python::upper(v.text()); }},
        {"upper", [](const Value& v) { return v.text() == python::upper(v.text()) && v.text() != python::lower(v.text()); }},
    };
    return table;
}

std::string_view plain_name(std::string_view name) {
    static const std::unordered_map<std::string_view, std::string_view> aliases = {{"equalto", "eq"}, {"==", "eq"},          {"!=", "ne"},
                                                                                   {">", "gt"},       {"greaterthan", "gt"}, {">=", "ge"},
                                                                                   {"<", "lt"},       {"lessthan", "lt"},    {"<=", "le"}};
    const auto found = aliases.find(name);
    return found == aliases.end() ? name : found->second;
}

bool with_operand(Runtime& runtime, std::string_view name, const Value& value, const Value& other) {
    if (name == "eq") return equal(value, other);
    if (name == "ne") return !equal(value, other);
    if (name == "in") return contains(runtime, other, value);
    if (name == "sameas") return value.type_name() == other.type_name() && equal(value, other);
    if (name == "divisibleby") {
        if (!value.is_int() || !other.is_int() || other.integer() == 0)
            runtime.refuse("divisibleby needs two integers, the second not zero");
        return value.integer() % other.integer() == 0;
    }
    const auto order = compare(value, other);
    if (!order) runtime.refuse(fmt::format("{} is not defined for {} and {}", name, value.type_name(), other.type_name()));
    if (name == "lt") return *order < 0;
    if (name == "le") return *order <= 0;
    return name == "gt" ? *order > 0 : *order >= 0;
}

}  // namespace

bool apply_test(Runtime& runtime, const std::string& name, const Value& value, const Arguments& arguments) {
    if (const auto found = predicates().find(name); found != predicates().end()) {
        (void)Parameters(runtime, name, arguments, {});
        return found->second(value);
    }
    if (name == "odd" || name == "even") {
        if (value.is_undefined()) runtime.refuse(value.undefined().what);
        if (!value.is_int() && !value.is_bool()) runtime.refuse(fmt::format("{} needs an int, not {}", name, value.type_name()));
        return (value.integer() % 2 != 0) == (name == "odd");
    }
    if (name == "filter") return find_text_filter(value.text()) != nullptr || find_sequence_filter(value.text()) != nullptr;
    static constexpr std::string_view kBinary[] = {"eq", "ne", "gt", "ge", "lt", "le", "in", "sameas", "divisibleby"};
    const auto plain = plain_name(name);
    if (std::find(std::begin(kBinary), std::end(kBinary), plain) == std::end(kBinary)) {
        runtime.refuse(fmt::format("the test {} is not supported", name));
    }
    return with_operand(runtime, plain, value, Parameters(runtime, name, arguments, {"=other"})[0]);
}

}  // namespace tandem::jinja
