#include "src/tokenizer/jinja/expression_parser.h"

#include <algorithm>

#include "kernels/base/error.h"

namespace tandem::jinja {

ExpressionPtr ExpressionParser::expression(Conditionals conditionals) {
    if (++depth_ > 100) tokens_.refuse("the expression nests more than 100 levels deep");
    ExpressionPtr node = conditionals == Conditionals::Yes ? conditional() : disjunction();
    --depth_;
    return node;
}

bool ExpressionParser::tuple_ends(std::string_view end) const {
    return tokens_.is(TokenKind::VariableEnd) || tokens_.is(TokenKind::BlockEnd) || tokens_.is_operator(")") ||
           (!end.empty() && tokens_.is_name(end));
}

ExpressionPtr ExpressionParser::tuple(Conditionals conditionals, std::string_view end) {
    auto node = make<Sequence>();
    node->tuple = true;
    bool comma = false;
    while (!tuple_ends(end)) {
        node->items.push_back(expression(conditionals));
        if (!tokens_.skip_operator(",")) break;
        comma = true;
    }
    if (comma) return node;
    if (node->items.empty()) tokens_.refuse(fmt::format("expected an expression, found {}", tokens_.current().text));
    return std::move(node->items.front());
}

ExpressionPtr ExpressionParser::conditional() {
    ExpressionPtr node = disjunction();
    while (tokens_.is_name("if")) {
        auto choice = make<Conditional>();
        tokens_.take();
        choice->test = disjunction();
        choice->yes = std::move(node);
        if (tokens_.skip_name("else")) choice->no = expression();
        node = std::move(choice);
    }
    return node;
}

template <class Operand>
ExpressionPtr ExpressionParser::binary(std::initializer_list<std::string_view> operators, Operand operand) {
    ExpressionPtr left = (this->*operand)();
    const auto matches = [&] {
        const bool word = tokens_.is(TokenKind::Name), sign = tokens_.is(TokenKind::Operator);
        return (word || sign) && std::find(operators.begin(), operators.end(), tokens_.current().text) != operators.end();
    };
    while (matches()) {
        auto node = make<Binary>();
        node->operation = tokens_.take().text;
        node->left = std::move(left);
        node->right = (this->*operand)();
        left = std::move(node);
    }
    return left;
}

ExpressionPtr ExpressionParser::disjunction() { return binary({"or"}, &ExpressionParser::conjunction); }
ExpressionPtr ExpressionParser::conjunction() { return binary({"and"}, &ExpressionParser::negation); }

ExpressionPtr ExpressionParser::negation() {
    if (!tokens_.is_name("not")) return comparison();
    auto node = make<Unary>();
    node->operation = tokens_.take().text;
    if (++depth_ > 100) tokens_.refuse("the expression nests more than 100 levels deep");
    node->operand = negation();
    --depth_;
    return node;
}

ExpressionPtr ExpressionParser::comparison() {
    auto node = make<Comparison>();
    node->first = sum();
    for (;;) {
        std::string operation;
        if (tokens_.is(TokenKind::Operator)) {
            static constexpr std::string_view kSigns[] = {"==", "!=", "<", "<=", ">", ">="};
            if (std::find(std::begin(kSigns), std::end(kSigns), tokens_.current().text) != std::end(kSigns))
                operation = tokens_.take().text;
        } else if (tokens_.skip_name("in")) {
            operation = "in";
        } else if (tokens_.is_name("not") && tokens_.next().kind == TokenKind::Name && tokens_.next().text == "in") {
            tokens_.take();
            tokens_.take();
            operation = "not in";
        }
        if (operation.empty()) break;
        node->rest.emplace_back(operation, sum());
    }
    if (node->rest.empty()) return std::move(node->first);
    return node;
}

ExpressionPtr ExpressionParser::sum() { return binary({"+", "-"}, &ExpressionParser::concatenation); }
ExpressionPtr ExpressionParser::concatenation() { return binary({"~"}, &ExpressionParser::product); }
ExpressionPtr ExpressionParser::product() { return binary({"*", "/", "//", "%"}, &ExpressionParser::power); }

ExpressionPtr ExpressionParser::power() {
    ExpressionPtr left = unary(true);
    while (tokens_.is_operator("**")) {
        auto node = make<Binary>();
        node->operation = tokens_.take().text;
        node->left = std::move(left);
        node->right = unary(true);
        left = std::move(node);
    }
    return left;
}

ExpressionPtr ExpressionParser::unary(bool with_filters) {
    ExpressionPtr node;
    if (tokens_.is_operator("-") || tokens_.is_operator("+")) {
        auto sign = make<Unary>();
        sign->operation = tokens_.take().text;
        if (++depth_ > 100) tokens_.refuse("the expression nests more than 100 levels deep");
        sign->operand = unary(false);
        --depth_;
        node = std::move(sign);
    } else {
        node = primary();
    }
    node = postfix(std::move(node));
    return with_filters ? filters_and_tests(std::move(node)) : std::move(node);
}

ExpressionPtr ExpressionParser::name() {
    const std::string& text = tokens_.current().text;
    ExpressionPtr node;
    if (text == "true" || text == "True") node = make<Literal>(true);
    else if (text == "false" || text == "False") node = make<Literal>(false);
    else if (text == "none" || text == "None") node = make<Literal>(None{});
    else node = make<Name>(text);
    tokens_.take();
    return node;
}

ExpressionPtr ExpressionParser::primary() {
    const Token& token = tokens_.current();
    switch (token.kind) {
        case TokenKind::Name: return name();
        case TokenKind::String: {
            auto node = make<Literal>(Value());
            std::string text;
            while (tokens_.is(TokenKind::String)) text += tokens_.take().text;
            node->value = std::move(text);
            return node;
        }
        case TokenKind::Integer: {
            auto node = make<Literal>(token.integer);
            tokens_.take();
            return node;
        }
        case TokenKind::Float: {
            auto node = make<Literal>(token.number);
            tokens_.take();
            return node;
        }
        default: break;
    }
    if (tokens_.is_operator("[")) return list();
    if (tokens_.is_operator("{")) return dict();
    if (!tokens_.skip_operator("(")) tokens_.refuse(fmt::format("unexpected {}", token.text));
    ExpressionPtr node;
    if (tokens_.is_operator(")")) {
        auto empty = make<Sequence>();
        empty->tuple = true;
        node = std::move(empty);
    } else {
        node = tuple();
    }
    tokens_.expect_operator(")");
    return node;
}

ExpressionPtr ExpressionParser::list() {
    auto node = make<Sequence>();
    tokens_.expect_operator("[");
    while (!tokens_.is_operator("]")) {
        node->items.push_back(expression());
        if (!tokens_.skip_operator(",")) break;
    }
    tokens_.expect_operator("]");
    return node;
}

ExpressionPtr ExpressionParser::dict() {
    auto node = make<DictLiteral>();
    tokens_.expect_operator("{");
    while (!tokens_.is_operator("}")) {
        ExpressionPtr key = expression();
        tokens_.expect_operator(":");
        node->items.emplace_back(std::move(key), expression());
        if (!tokens_.skip_operator(",")) break;
    }
    tokens_.expect_operator("}");
    return node;
}

}  // namespace tandem::jinja
