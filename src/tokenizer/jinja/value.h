// The values of a template: those of Python that chat templates meet, with Python's rules for truth, equality and order.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tandem::jinja {

class Value;
class Runtime;

struct Undefined {
    std::string what;  ///< for messages: "'x' is undefined"
};
struct None {};

struct Arguments {
    std::vector<Value> positional;
    std::vector<std::pair<std::string, Value>> named;
};

/// What can be called or has attributes of its own: macros, methods, functions, `loop`, namespaces.
class Object {
public:
    virtual ~Object() = default;
    [[nodiscard]] virtual std::string_view kind() const = 0;
    [[nodiscard]] virtual std::optional<Value> attribute(std::string_view name) const;
    [[nodiscard]] virtual bool callable() const { return false; }
    virtual Value call(Runtime& runtime, Arguments arguments) const;
    /// Lets go of what it holds: a namespace may hold itself.
    virtual void clear() {}
};

using List = std::vector<Value>;

/// Keys in the order in which they came.
class Dict {
public:
    [[nodiscard]] const Value* find(const Value& key) const;
    [[nodiscard]] const Value* find(std::string_view key) const;
    void set(Value key, Value value);
    [[nodiscard]] const std::vector<std::pair<Value, Value>>& items() const { return items_; }

private:
    std::vector<std::pair<Value, Value>> items_;
};

/// Cheap to copy. Lists and dicts are never changed once made: the sandbox that transformers renders in forbids it too.
class Value {
public:
    Value() : data_(Undefined{}) {}
    Value(Undefined u) : data_(std::move(u)) {}
    Value(None) : data_(None{}) {}
    Value(bool b) : data_(b) {}
    Value(std::int64_t i) : data_(i) {}
    Value(int i) : data_(std::int64_t{i}) {}
    Value(std::size_t n) : data_(static_cast<std::int64_t>(n)) {}
    Value(double d) : data_(d) {}
    Value(std::string s) : data_(std::make_shared<const std::string>(std::move(s))) {}
    Value(std::string_view s) : Value(std::string(s)) {}
    Value(const char* s) : Value(std::string(s)) {}
    Value(List list) : data_(std::make_shared<const List>(std::move(list))) {}
    Value(Dict dict) : data_(std::make_shared<const Dict>(std::move(dict))) {}
    Value(std::shared_ptr<Object> object) : data_(std::move(object)) {}
    static Value tuple(List list);
    static Value from_json(const nlohmann::ordered_json& json);

    [[nodiscard]] bool is_undefined() const { return holds<Undefined>(); }
    [[nodiscard]] bool is_none() const { return holds<None>(); }
    [[nodiscard]] bool is_bool() const { return holds<bool>(); }
    [[nodiscard]] bool is_int() const { return holds<std::int64_t>(); }  ///< not bool
    [[nodiscard]] bool is_float() const { return holds<double>(); }
    [[nodiscard]] bool is_number() const { return is_int() || is_float() || is_bool(); }
    [[nodiscard]] bool is_string() const { return holds<std::shared_ptr<const std::string>>(); }
    [[nodiscard]] bool is_list() const { return holds<std::shared_ptr<const List>>(); }
    [[nodiscard]] bool is_tuple() const { return holds<Tuple>(); }
    [[nodiscard]] bool is_dict() const { return holds<std::shared_ptr<const Dict>>(); }
    [[nodiscard]] bool is_object() const { return holds<std::shared_ptr<Object>>(); }

    [[nodiscard]] const std::string& string() const { return *std::get<std::shared_ptr<const std::string>>(data_); }
    [[nodiscard]] const List& list() const;  ///< of a list or tuple
    [[nodiscard]] const Dict& dict() const { return *std::get<std::shared_ptr<const Dict>>(data_); }
    [[nodiscard]] const std::shared_ptr<Object>& object() const { return std::get<std::shared_ptr<Object>>(data_); }
    [[nodiscard]] const Undefined& undefined() const { return std::get<Undefined>(data_); }
    [[nodiscard]] std::int64_t integer() const;  ///< of an int or bool
    [[nodiscard]] double number() const;         ///< of an int, bool or float

    [[nodiscard]] bool truth() const;
    [[nodiscard]] std::string_view type_name() const;  ///< Python's: "str", "NoneType"
    /// What printing gives: str() of Python, nothing for an undefined value.
    [[nodiscard]] std::string text() const;
    [[nodiscard]] std::string repr() const;

private:
    struct Tuple {
        std::shared_ptr<const List> list;
    };
    template <class T>
    [[nodiscard]] bool holds() const {
        return std::holds_alternative<T>(data_);
    }
    std::variant<Undefined, None, bool, std::int64_t, double, std::shared_ptr<const std::string>, std::shared_ptr<const List>, Tuple,
                 std::shared_ptr<const Dict>, std::shared_ptr<Object>>
        data_;
};

[[nodiscard]] bool equal(const Value& a, const Value& b);
/// -1, 0, 1; nothing where Python has no order between the two.
[[nodiscard]] std::optional<int> compare(const Value& a, const Value& b);

/// A function of the interpreter.
class Function final : public Object {
public:
    using Body = std::function<Value(Runtime&, Arguments)>;
    Function(std::string name, Body body) : name_(std::move(name)), body_(std::move(body)) {}
    [[nodiscard]] std::string_view kind() const override { return "function"; }
    [[nodiscard]] bool callable() const override { return true; }
    Value call(Runtime& runtime, Arguments arguments) const override { return body_(runtime, std::move(arguments)); }

private:
    std::string name_;
    Body body_;
};

}  // namespace tandem::jinja
