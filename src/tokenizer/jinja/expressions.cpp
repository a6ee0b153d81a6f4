#include <algorithm>
#include <cmath>

#include "kernels/base/error.h"
#include "src/tokenizer/jinja/ast.h"
#include "src/tokenizer/jinja/builtins.h"

namespace tandem::jinja {

Arguments CallArguments::evaluate(Runtime& runtime) const {
    Arguments out;
    for (const auto& argument : positional) out.positional.push_back(argument->evaluate(runtime));
    if (list) {
        for (Value& item : items_of(runtime, list->evaluate(runtime))) out.positional.push_back(std::move(item));
    }
    for (const auto& [name, value] : named) out.named.emplace_back(name, value->evaluate(runtime));
    if (dict) {
        const Value more = dict->evaluate(runtime);
        if (!more.is_dict()) runtime.refuse(fmt::format("** needs a dict, not {}", more.type_name()));
        for (const auto& [key, value] : more.dict().items()) out.named.emplace_back(key.text(), value);
    }
    return out;
}

Value Sequence::evaluate(Runtime& runtime) const {
    List list;
    list.reserve(items.size());
    for (const auto& item : items) list.push_back(item->evaluate(runtime));
    return tuple ? Value::tuple(std::move(list)) : Value(std::move(list));
}

Value DictLiteral::evaluate(Runtime& runtime) const {
    Dict dict;
    for (const auto& [key, value] : items) dict.set(key->evaluate(runtime), value->evaluate(runtime));
    return dict;
}

Value Attribute::evaluate(Runtime& runtime) const {
    const Value value = owner->evaluate(runtime);
    runtime.line = line;
    return attribute_of(runtime, value, name);
}

Value Index::evaluate(Runtime& runtime) const {
    const Value value = owner->evaluate(runtime);
    const Value at = index->evaluate(runtime);
    runtime.line = line;
    return item_of(runtime, value, at);
}

namespace {

/// Python's slice.indices(): where to begin and how many items there are.
struct Range {
    std::int64_t begin, step, count;
};

Range slice_range(Runtime& runtime, std::int64_t size, const Value* begin, const Value* end, const Value* step) {
    const auto integer = [&](const Value* value, std::int64_t fallback) {
        if (value == nullptr || value->is_none()) return fallback;
        if (!value->is_int() && !value->is_bool()) runtime.refuse(fmt::format("a slice needs integers, not {}", value->type_name()));
        return value->integer();
    };
    Range range{0, integer(step, 1), 0};
    if (range.step == 0) runtime.refuse("the step of a slice is zero");
    const bool back = range.step < 0;
    const auto clamp = [&](std::int64_t at) {
        if (at < 0) at += size;
        return std::clamp<std::int64_t>(at, back ? -1 : 0, back ? size - 1 : size);
    };
    const bool has_begin = begin != nullptr && !begin->is_none(), has_end = end != nullptr && !end->is_none();
    range.begin = has_begin ? clamp(integer(begin, 0)) : back ? size - 1 : 0;
    const std::int64_t last = has_end ? clamp(integer(end, 0)) : back ? -1 : size;
    const std::int64_t distance = back ? range.begin - last : last - range.begin;
    const std::int64_t stride = back ? -range.step : range.step;
    range.count = distance > 0 ? (distance - 1) / stride + 1 : 0;
    return range;
}

}  // namespace

Value Slice::evaluate(Runtime& runtime) const {
    const Value value = owner->evaluate(runtime);
    const auto bound = [&](const ExpressionPtr& part) { return part ? std::optional(part->evaluate(runtime)) : std::nullopt; };
    const auto first = bound(begin), last = bound(end), stride = bound(step);
    const auto pointer = [](const std::optional<Value>& v) { return v ? &*v : nullptr; };
    runtime.line = line;
    const auto range_of = [&](std::size_t size) {
        return slice_range(runtime, static_cast<std::int64_t>(size), pointer(first), pointer(last), pointer(stride));
    };
    const auto place = [](const Range& range, std::int64_t i) { return static_cast<std::size_t>(range.begin + i * range.step); };
    if (value.is_undefined()) runtime.refuse(value.undefined().what);
    if (value.is_string()) {
        const auto characters = characters_of(value.string());
        const Range range = range_of(characters.size());
        std::string out;
        for (std::int64_t i = 0; i < range.count; ++i) out += characters[place(range, i)];
        return out;
    }
    if (!value.is_list() && !value.is_tuple()) runtime.refuse(fmt::format("a {} cannot be sliced", value.type_name()));
    const Range range = range_of(value.list().size());
    List out;
    for (std::int64_t i = 0; i < range.count; ++i) out.push_back(value.list()[place(range, i)]);
    return value.is_tuple() ? Value::tuple(std::move(out)) : Value(std::move(out));
}

Value Call::evaluate(Runtime& runtime) const {
    const Value value = callee->evaluate(runtime);
    Arguments given = arguments.evaluate(runtime);
    runtime.line = line;
    return runtime.call(value, std::move(given));
}

Value Filter::evaluate(Runtime& runtime) const { return apply(runtime, operand->evaluate(runtime)); }

Value Filter::apply(Runtime& runtime, const Value& value) const {
    const Arguments given = arguments.evaluate(runtime);
    runtime.line = line;
    return apply_filter(runtime, name, value, given);
}

Value Test::evaluate(Runtime& runtime) const {
    const Value value = operand->evaluate(runtime);
    const Arguments given = arguments.evaluate(runtime);
    runtime.line = line;
    return apply_test(runtime, name, value, given) != negated;
}

Value Unary::evaluate(Runtime& runtime) const {
    const Value value = operand->evaluate(runtime);
    if (operation == "not") return !value.truth();
    runtime.line = line;
    if (value.is_undefined()) runtime.refuse(value.undefined().what);
    if (!value.is_number()) runtime.refuse(fmt::format("{} needs a number, not {}", operation, value.type_name()));
    if (value.is_float()) return operation == "-" ? -value.number() : value.number();
    return operation == "-" ? -value.integer() : value.integer();
}

namespace {

constexpr auto kLongest = static_cast<std::int64_t>(kLongestText);

Value repeated(Runtime& runtime, const Value& value, std::int64_t times) {
    const auto count = static_cast<std::int64_t>(value.is_string() ? value.string().size() : value.list().size());
    times = std::max<std::int64_t>(times, 0);
    if (count > 0 && times > kLongest / count) runtime.refuse("the result of * is too long");
    if (value.is_string()) {
        std::string out;
        for (std::int64_t i = 0; i < times; ++i) out += value.string();
        return out;
    }
    List out;
    for (std::int64_t i = 0; i < times; ++i) out.insert(out.end(), value.list().begin(), value.list().end());
    return value.is_tuple() ? Value::tuple(std::move(out)) : Value(std::move(out));
}

Value power(const Value& a, const Value& b) {
    if (a.is_float() || b.is_float() || b.integer() < 0) return std::pow(a.number(), b.number());
    if (a.integer() == -1) return b.integer() % 2 == 0 ? 1 : -1;
    std::int64_t result = 1;
    for (std::int64_t i = 0; i < b.integer(); ++i) {
        if (__builtin_mul_overflow(result, a.integer(), &result)) return std::pow(a.number(), b.number());
        if (result == 0 || (result == 1 && i > 0)) break;
    }
    return result;
}

Value floats(const std::string& operation, double a, double b) {
    if (operation == "-") return a - b;
    if (operation == "*") return a * b;
    if (operation == "/") return a / b;
    if (operation == "//") return std::floor(a / b);
    const double rest = std::fmod(a, b);  // % has the sign of the divisor
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Value arithmetic(Runtime& runtime, const std::string& operation, const Value& a, const Value& b) {
    for (const Value* v : {&a, &b}) {
        if (v->is_undefined()) runtime.refuse(v->undefined().what);
    }
    if (operation == "+") return add(runtime, a, b);
    const auto sequence = [](const Value& v) { return v.is_string() || v.is_list() || v.is_tuple(); };
    if (operation == "%" && a.is_string()) return format_percent(runtime, a.string(), b);
    if (operation == "*" && sequence(a) && (b.is_int() || b.is_bool())) return repeated(runtime, a, b.integer());
    if (operation == "*" && sequence(b) && (a.is_int() || a.is_bool())) return repeated(runtime, b, a.integer());
    if (!a.is_number() || !b.is_number()) {
        runtime.refuse(fmt::format("{} is not defined for {} and {}", operation, a.type_name(), b.type_name()));
    }
    if (operation == "**") return power(a, b);
    if (operation != "-" && operation != "*" && b.number() == 0) runtime.refuse("division by zero");
    if (a.is_float() || b.is_float() || operation == "/") return floats(operation, a.number(), b.number());
    std::int64_t result = 0;
    const std::int64_t x = a.integer(), y = b.integer();
    if (operation == "-") return __builtin_sub_overflow(x, y, &result) ? Value(a.number() - b.number()) : Value(result);
    if (operation == "*") return __builtin_mul_overflow(x, y, &result) ? Value(a.number() * b.number()) : Value(result);
    if (y == -1) return operation == "%" ? Value(0) : Value(-x);
    const std::int64_t quotient = x / y - (x % y != 0 && (x < 0) != (y < 0) ? 1 : 0);
    return operation == "//" ? quotient : x - quotient * y;
}

bool ordered(Runtime& runtime, const std::string& operation, const Value& a, const Value& b) {
    for (const Value* v : {&a, &b}) {
        if (v->is_undefined()) runtime.refuse(v->undefined().what);
    }
    const auto order = compare(a, b);
    if (!order) runtime.refuse(fmt::format("{} is not defined for {} and {}", operation, a.type_name(), b.type_name()));
    if (operation == "<") return *order < 0;
    if (operation == "<=") return *order <= 0;
    return operation == ">" ? *order > 0 : *order >= 0;
}

}  // namespace

Value Binary::evaluate(Runtime& runtime) const {
    const DepthGuard guard(runtime);
    Value a = left->evaluate(runtime);
    if (operation == "and") return a.truth() ? right->evaluate(runtime) : a;
    if (operation == "or") return a.truth() ? a : right->evaluate(runtime);
    const Value b = right->evaluate(runtime);
    runtime.line = line;
    return operation == "~" ? Value(joined(runtime, a.text(), b.text())) : arithmetic(runtime, operation, a, b);
}

Value Comparison::evaluate(Runtime& runtime) const {
    Value a = first->evaluate(runtime);
    for (const auto& [operation, operand] : rest) {
        Value b = operand->evaluate(runtime);
        runtime.line = line;
        bool holds = false;
        if (operation == "==") holds = equal(a, b);
        else if (operation == "!=") holds = !equal(a, b);
        else if (operation == "in") holds = contains(runtime, b, a);
        else if (operation == "not in") holds = !contains(runtime, b, a);
        else holds = ordered(runtime, operation, a, b);
        if (!holds) return false;
        a = std::move(b);
    }
    return true;
}

Value Conditional::evaluate(Runtime& runtime) const {
    if (test->evaluate(runtime).truth()) return yes->evaluate(runtime);
    if (no) return no->evaluate(runtime);
    return Undefined{"an if without else has no value here"};
}

}  // namespace tandem::jinja
