// The expressions of Jinja2's grammar, loosest binding first: if-else, or, and, not, comparisons, + -, ~, * / // %, unary, **,
// then attributes, items, calls, and last filters and tests.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "src/tokenizer/jinja/ast.h"
#include "src/tokenizer/jinja/token_stream.h"

namespace tandem::jinja {

class ExpressionParser {
public:
    explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

    enum class Conditionals : bool { No, Yes };
    [[nodiscard]] ExpressionPtr expression(Conditionals conditionals = Conditionals::Yes);
    /// One expression or, where commas are, a tuple; it ends before the name `end` too.
    [[nodiscard]] ExpressionPtr tuple(Conditionals conditionals = Conditionals::Yes, std::string_view end = "");
    /// The rest of a filter whose `|` has been read, or of a filter block; the operand is put in by the caller.
    [[nodiscard]] std::unique_ptr<Filter> filter();
    [[nodiscard]] std::vector<std::unique_ptr<Filter>> filters();  ///< each after its |

private:
    ExpressionPtr conditional();
    ExpressionPtr disjunction();
    ExpressionPtr conjunction();
    ExpressionPtr negation();
    ExpressionPtr comparison();
    ExpressionPtr sum();
    ExpressionPtr concatenation();
    ExpressionPtr product();
    ExpressionPtr power();
    ExpressionPtr unary(bool with_filters);
    ExpressionPtr primary();
    ExpressionPtr name();
    ExpressionPtr list();
    ExpressionPtr dict();
    ExpressionPtr postfix(ExpressionPtr node);
    ExpressionPtr subscript(ExpressionPtr owner);
    ExpressionPtr attribute(ExpressionPtr owner);
    ExpressionPtr call(ExpressionPtr callee);
    CallArguments arguments();
    ExpressionPtr filters_and_tests(ExpressionPtr node);
    ExpressionPtr test(ExpressionPtr operand);
    template <class Operand>
    ExpressionPtr binary(std::initializer_list<std::string_view> operators, Operand operand);
    [[nodiscard]] bool tuple_ends(std::string_view end) const;

    template <class Node>
    std::unique_ptr<Node> make(auto&&... arguments) const {
        auto node = std::make_unique<Node>(std::forward<decltype(arguments)>(arguments)...);
        node->line = tokens_.current().line;
        return node;
    }

    TokenStream& tokens_;
    int depth_ = 0;
};

}  // namespace tandem::jinja
