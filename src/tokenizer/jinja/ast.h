// What a template is once parsed. Each node evaluates or executes itself; nodes are immutable and shared by renderings.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/tokenizer/jinja/runtime.h"
#include "src/tokenizer/jinja/value.h"

namespace tandem::jinja {

struct Expression {
    virtual ~Expression() = default;
    [[nodiscard]] virtual Value evaluate(Runtime& runtime) const = 0;
    int line = 0;
};
using ExpressionPtr = std::unique_ptr<Expression>;

enum class Flow { Next, Break, Continue };

struct Statement {
    virtual ~Statement() = default;
    virtual Flow execute(Runtime& runtime) const = 0;
    int line = 0;
};
using Block = std::vector<std::unique_ptr<Statement>>;

Flow execute(const Block& block, Runtime& runtime);
/// The text that the block writes, in a scope of its own.
[[nodiscard]] std::string render(const Block& block, Runtime& runtime);

struct CallArguments {
    std::vector<ExpressionPtr> positional;
    std::vector<std::pair<std::string, ExpressionPtr>> named;
    ExpressionPtr list, dict;  ///< after * and **; may be absent
    [[nodiscard]] Arguments evaluate(Runtime& runtime) const;
};

/// What `set` and `for` assign to: a name, an attribute of a namespace, or several of them.
struct Target {
    std::string name, attribute;
    std::vector<Target> parts;
    void assign(Runtime& runtime, const Value& value) const;
};

// Expressions -------------------------------------------------------------------------------------------------------

struct Literal final : Expression {
    explicit Literal(Value v) : value(std::move(v)) {}
    Value value;
    Value evaluate(Runtime&) const override { return value; }
};
struct Name final : Expression {
    explicit Name(std::string n) : name(std::move(n)) {}
    std::string name;
    Value evaluate(Runtime& runtime) const override { return runtime.lookup(name); }
};
struct Sequence final : Expression {  // [a, b] or (a, b)
    std::vector<ExpressionPtr> items;
    bool tuple = false;
    Value evaluate(Runtime& runtime) const override;
};
struct DictLiteral final : Expression {
    std::vector<std::pair<ExpressionPtr, ExpressionPtr>> items;
    Value evaluate(Runtime& runtime) const override;
};
struct Attribute final : Expression {  // a.name
    ExpressionPtr owner;
    std::string name;
    Value evaluate(Runtime& runtime) const override;
};
struct Index final : Expression {  // a[i]
    ExpressionPtr owner, index;
    Value evaluate(Runtime& runtime) const override;
};
struct Slice final : Expression {  // a[begin:end:step]
    ExpressionPtr owner, begin, end, step;
    Value evaluate(Runtime& runtime) const override;
};
struct Call final : Expression {
    ExpressionPtr callee;
    CallArguments arguments;
    Value evaluate(Runtime& runtime) const override;
};
struct Filter final : Expression {
    ExpressionPtr operand;  ///< absent in filter blocks
    std::string name;
    CallArguments arguments;
    Value evaluate(Runtime& runtime) const override;
    [[nodiscard]] Value apply(Runtime& runtime, const Value& value) const;
};
struct Test final : Expression {
    ExpressionPtr operand;
    std::string name;
    CallArguments arguments;
    bool negated = false;
    Value evaluate(Runtime& runtime) const override;
};
struct Unary final : Expression {  // - + not
    std::string operation;
    ExpressionPtr operand;
    Value evaluate(Runtime& runtime) const override;
};
struct Binary final : Expression {  // arithmetic, ~, and, or
    std::string operation;
    ExpressionPtr left, right;
    Value evaluate(Runtime& runtime) const override;
};
struct Comparison final : Expression {  // a < b == c
    ExpressionPtr first;
    std::vector<std::pair<std::string, ExpressionPtr>> rest;
    Value evaluate(Runtime& runtime) const override;
};
struct Conditional final : Expression {  // a if test else b
    ExpressionPtr test, yes, no;
    Value evaluate(Runtime& runtime) const override;
};

// Statements --------------------------------------------------------------------------------------------------------

struct Text final : Statement {
    std::string text;
    Flow execute(Runtime& runtime) const override;
};
struct Output final : Statement {
    ExpressionPtr value;
    Flow execute(Runtime& runtime) const override;
};
struct If final : Statement {
    std::vector<std::pair<ExpressionPtr, Block>> branches;
    Block otherwise;
    Flow execute(Runtime& runtime) const override;
};
struct For final : Statement {
    Target target;
    ExpressionPtr items, condition;
    Block body, otherwise;
    bool recursive = false;
    Flow execute(Runtime& runtime) const override;
    void run(Runtime& runtime, const Value& over, std::size_t level) const;
};
struct Set final : Statement {
    Target target;
    ExpressionPtr value;
    Flow execute(Runtime& runtime) const override;
};
struct SetBlock final : Statement {
    Target target;
    std::vector<std::unique_ptr<Filter>> filters;
    Block body;
    Flow execute(Runtime& runtime) const override;
};
struct Signature {
    std::vector<std::pair<std::string, ExpressionPtr>> parameters;  ///< with their defaults or none
};
struct Macro final : Statement {
    std::string name;
    Signature signature;
    Block body;
    Flow execute(Runtime& runtime) const override;
};
struct CallBlock final : Statement {
    Signature signature;
    std::unique_ptr<Call> call;
    Block body;
    Flow execute(Runtime& runtime) const override;
};
struct FilterBlock final : Statement {
    std::vector<std::unique_ptr<Filter>> filters;
    Block body;
    Flow execute(Runtime& runtime) const override;
};
struct With final : Statement {
    std::vector<std::pair<Target, ExpressionPtr>> bindings;
    Block body;
    Flow execute(Runtime& runtime) const override;
};
struct Generation final : Statement {  // what the assistant says: transformers' tag
    Block body;
    Flow execute(Runtime& runtime) const override;
};
struct Jump final : Statement {  // break, continue
    Flow flow = Flow::Break;
    Flow execute(Runtime&) const override { return flow; }
};

}  // namespace tandem::jinja
