// Jinja2's filters, tests, methods of Python's values, and the functions that transformers gives to chat templates.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/tokenizer/jinja/runtime.h"
#include "src/tokenizer/jinja/value.h"

namespace tandem::jinja {

/// `value | name(arguments)`.
[[nodiscard]] Value apply_filter(Runtime& runtime, const std::string& name, const Value& value, const Arguments& arguments);
using FilterFunction = Value (*)(Runtime&, const Value&, const Arguments&);
[[nodiscard]] FilterFunction find_text_filter(std::string_view name);      ///< null if there is none
[[nodiscard]] FilterFunction find_sequence_filter(std::string_view name);  ///< null if there is none

/// `value is name(arguments)`.
[[nodiscard]] bool apply_test(Runtime& runtime, const std::string& name, const Value& value, const Arguments& arguments);

/// `value.name`: a method if the type has one, else the member of that name.
[[nodiscard]] Value attribute_of(Runtime& runtime, const Value& value, const std::string& name);
/// `value[index]`.
[[nodiscard]] Value item_of(Runtime& runtime, const Value& value, const Value& index);
/// The method of a str or dict or list; nothing if there is none.
[[nodiscard]] std::optional<Value> method_of(Runtime& runtime, const Value& value, std::string_view name);

/// `range`, `namespace`, `dict`, `raise_exception`, `strftime_now`, `joiner`, `cycler`.
[[nodiscard]] std::unordered_map<std::string, Value> global_functions();
/// Object of namespace(...).
class Namespace final : public Object {
public:
    [[nodiscard]] std::string_view kind() const override { return "Namespace"; }
    [[nodiscard]] std::optional<Value> attribute(std::string_view name) const override;
    void set(const std::string& name, Value value) { values_[name] = std::move(value); }
    void clear() override { values_.clear(); }

private:
    std::unordered_map<std::string, Value> values_;
};

/// The items that iterating gives: of a list, tuple, dict (keys), str (characters), undefined (none).
[[nodiscard]] List items_of(Runtime& runtime, const Value& value);
[[nodiscard]] bool contains(Runtime& runtime, const Value& container, const Value& item);
/// The characters of a str.
[[nodiscard]] std::vector<std::string> characters_of(std::string_view text);
/// Python's % on strings.
[[nodiscard]] std::string format_percent(Runtime& runtime, const std::string& format, const Value& values);
[[nodiscard]] Value add(Runtime& runtime, const Value& a, const Value& b);
/// Two texts as one; refuses more than kLongestText bytes, for texts that double in a loop would fill the memory.
[[nodiscard]] std::string joined(Runtime& runtime, const std::string& a, const std::string& b);
constexpr std::size_t kLongestText = std::size_t{1} << 28U;

}  // namespace tandem::jinja
