// What follows a primary expression: attributes, items, slices, calls, filters and tests.
#include "src/tokenizer/jinja/expression_parser.h"

#include <algorithm>

#include "kernels/base/error.h"

namespace tandem::jinja {

ExpressionPtr ExpressionParser::postfix(ExpressionPtr node) {
    for (;;) {
        if (tokens_.is_operator(".")) node = attribute(std::move(node));
        else if (tokens_.is_operator("[")) node = subscript(std::move(node));
        else if (tokens_.is_operator("(")) node = call(std::move(node));
        else return node;
    }
}

ExpressionPtr ExpressionParser::attribute(ExpressionPtr owner) {
    tokens_.expect_operator(".");
    if (tokens_.is(TokenKind::Integer)) {
        auto node = make<Index>();
        node->owner = std::move(owner);
        node->index = make<Literal>(tokens_.current().integer);
        tokens_.take();
        return node;
    }
    auto node = make<Attribute>();
    node->owner = std::move(owner);
    node->name = tokens_.expect(TokenKind::Name, "a name after the dot").text;
    return node;
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr owner) {
    const int line = tokens_.current().line;
    tokens_.expect_operator("[");
    ExpressionPtr bounds[3];
    int colons = 0;
    while (!tokens_.is_operator("]")) {
        if (tokens_.skip_operator(":")) {
            if (++colons > 2) tokens_.refuse("a slice has at most three parts");
        } else if (bounds[colons]) {
            tokens_.refuse(fmt::format("expected ], found {}", tokens_.current().text));
        } else {
            bounds[colons] = expression();
        }
    }
    tokens_.expect_operator("]");
    if (colons == 0) {
        if (!bounds[0]) tokens_.refuse("expected an expression between [ and ]");
        auto node = make<Index>();
        node->line = line;
        node->owner = std::move(owner);
        node->index = std::move(bounds[0]);
        return node;
    }
    auto node = make<Slice>();
    node->line = line;
    node->owner = std::move(owner);
    node->begin = std::move(bounds[0]);
    node->end = std::move(bounds[1]);
    node->step = std::move(bounds[2]);
    return node;
}

ExpressionPtr ExpressionParser::call(ExpressionPtr callee) {
    auto node = make<Call>();
    node->callee = std::move(callee);
    node->arguments = arguments();
    return node;
}

CallArguments ExpressionParser::arguments() {
    CallArguments out;
    tokens_.expect_operator("(");
    while (!tokens_.is_operator(")")) {
        if (tokens_.skip_operator("*")) {
            out.list = expression();
        } else if (tokens_.skip_operator("**")) {
            out.dict = expression();
        } else if (tokens_.is(TokenKind::Name) && tokens_.next().kind == TokenKind::Operator && tokens_.next().text == "=") {
            std::string name = tokens_.take().text;
            tokens_.take();
            out.named.emplace_back(std::move(name), expression());
        } else {
            if (!out.named.empty()) tokens_.refuse("an argument without a name follows one with a name");
            out.positional.push_back(expression());
        }
        if (!tokens_.skip_operator(",")) break;
    }
    tokens_.expect_operator(")");
    return out;
}

std::unique_ptr<Filter> ExpressionParser::filter() {
    auto node = make<Filter>();
    node->name = tokens_.expect(TokenKind::Name, "the name of a filter").text;
    while (tokens_.skip_operator(".")) node->name += "." + tokens_.expect(TokenKind::Name, "the name of a filter").text;
    if (tokens_.is_operator("(")) node->arguments = arguments();
    return node;
}

std::vector<std::unique_ptr<Filter>> ExpressionParser::filters() {
    std::vector<std::unique_ptr<Filter>> out;
    while (tokens_.skip_operator("|")) out.push_back(filter());
    return out;
}

ExpressionPtr ExpressionParser::filters_and_tests(ExpressionPtr node) {
    for (;;) {
        if (tokens_.skip_operator("|")) {
            auto applied = filter();
            applied->operand = std::move(node);
            node = std::move(applied);
        } else if (tokens_.is_name("is")) {
            node = test(std::move(node));
        } else if (tokens_.is_operator("(")) {
            node = call(std::move(node));
        } else {
            return node;
        }
    }
}

ExpressionPtr ExpressionParser::test(ExpressionPtr operand) {
    auto node = make<Test>();
    node->operand = std::move(operand);
    tokens_.expect_name("is");
    node->negated = tokens_.skip_name("not");
    node->name = tokens_.expect(TokenKind::Name, "the name of a test").text;
    const Token& token = tokens_.current();
    const bool value = token.kind == TokenKind::Name || token.kind == TokenKind::String || token.kind == TokenKind::Integer ||
                       token.kind == TokenKind::Float || tokens_.is_operator("[") || tokens_.is_operator("{");
    if (tokens_.is_operator("(")) {
        node->arguments = arguments();
    } else if (value && !tokens_.is_name({"else", "or", "and"})) {
        if (tokens_.is_name("is")) tokens_.refuse("tests cannot be chained with is");
        node->arguments.positional.push_back(postfix(primary()));
    }
    return node;
}

}  // namespace tandem::jinja
