#include "src/tokenizer/jinja/parser.h"

#include "kernels/base/error.h"
#include "src/tokenizer/jinja/expression_parser.h"
#include "src/tokenizer/jinja/lexer.h"
#include "src/tokenizer/jinja/token_stream.h"

namespace tandem::jinja {

namespace {

class Parser {
public:
    Parser(const std::string& source, const std::string& origin) : tokens_(tokenize(source, origin), origin), expressions_(tokens_) {}

    Parsed run() {
        Block block = statements({});
        return {std::move(block), marks_generation_};
    }

private:
    using Names = std::initializer_list<std::string_view>;

    template <class Node>
    std::unique_ptr<Node> make() const {
        auto node = std::make_unique<Node>();
        node->line = tokens_.current().line;
        return node;
    }

    /// Statements up to a tag of one of these names, which stays to be read; without names, up to the end.
    Block statements(Names ends) {
        Block block;
        while (!tokens_.is(TokenKind::End)) {
            if (tokens_.is(TokenKind::Data)) {
                auto node = make<Text>();
                node->text = tokens_.take().text;
                block.push_back(std::move(node));
            } else if (tokens_.is(TokenKind::VariableBegin)) {
                tokens_.take();
                auto node = make<Output>();
                node->value = expressions_.tuple();
                tokens_.expect(TokenKind::VariableEnd, "}}");
                block.push_back(std::move(node));
            } else {
                tokens_.expect(TokenKind::BlockBegin, "{%");
                if (ends.size() > 0 && tokens_.is_name(ends)) return block;
                if (++depth_ > 100) tokens_.refuse("blocks nest more than 100 levels deep");
                block.push_back(statement());
                --depth_;
                tokens_.expect(TokenKind::BlockEnd, "%}");
            }
        }
        if (ends.size() > 0) tokens_.refuse(fmt::format("the template ends before {}", *(ends.end() - 1)));
        return block;
    }

    /// The inside of a block whose opening tag ends here, with its closing tag's name.
    Block body(std::string_view end) {
        tokens_.expect(TokenKind::BlockEnd, "%}");
        Block block = statements({end});
        tokens_.expect_name(end);
        return block;
    }

    std::unique_ptr<Statement> statement() {
        const Token tag = tokens_.expect(TokenKind::Name, "the name of a tag");
        if (tag.text == "if") return if_statement();
        if (tag.text == "for") return for_statement();
        if (tag.text == "set") return set_statement();
        if (tag.text == "macro") return macro();
        if (tag.text == "call") return call_block();
        if (tag.text == "filter") return filter_block();
        if (tag.text == "with") return with();
        if (tag.text == "generation") {
            auto node = make<Generation>();
            marks_generation_ = true;
            node->body = body("endgeneration");
            return node;
        }
        if (tag.text == "break" || tag.text == "continue") {
            auto node = make<Jump>();
            node->flow = tag.text == "break" ? Flow::Break : Flow::Continue;
            if (loops_ == 0) tokens_.refuse(tag.line, fmt::format("{} outside of a loop", tag.text));
            return node;
        }
        if (tag.text.starts_with("end") || tag.text.starts_with("el")) {
            tokens_.refuse(tag.line, fmt::format("{} without the tag that it closes or continues", tag.text));
        }
        tokens_.refuse(tag.line, fmt::format("the tag {} is not supported", tag.text));
    }

    std::unique_ptr<Statement> if_statement() {
        auto node = make<If>();
        for (;;) {
            ExpressionPtr test = expressions_.tuple(ExpressionParser::Conditionals::No);
            tokens_.expect(TokenKind::BlockEnd, "%}");
            node->branches.emplace_back(std::move(test), statements({"elif", "else", "endif"}));
            if (tokens_.skip_name("elif")) continue;
            if (tokens_.skip_name("else")) node->otherwise = body("endif");
            else tokens_.expect_name("endif");
            return node;
        }
    }

    std::unique_ptr<Statement> for_statement() {
        auto node = make<For>();
        node->target = targets();
        tokens_.expect_name("in");
        node->items = expressions_.tuple(ExpressionParser::Conditionals::No, "recursive");
        if (tokens_.skip_name("if")) node->condition = expressions_.expression();
        node->recursive = tokens_.skip_name("recursive");
        tokens_.expect(TokenKind::BlockEnd, "%}");
        ++loops_;
        node->body = statements({"else", "endfor"});
        --loops_;
        if (tokens_.skip_name("else")) node->otherwise = body("endfor");
        else tokens_.expect_name("endfor");
        return node;
    }

    /// a, or a, b, or (a, b), or ns.a
    Target targets() {
        Target all;
        bool comma = false;
        do {
            if (comma && (tokens_.is_operator("=") || tokens_.is_name("in") || tokens_.is_operator(")"))) break;
            all.parts.push_back(target());
            if (!tokens_.is_operator(",")) break;
            comma = true;
        } while (tokens_.skip_operator(","));
        if (!comma) return std::move(all.parts.front());
        return all;
    }

    Target target() {
        if (tokens_.skip_operator("(")) {
            Target inside = targets();
            tokens_.expect_operator(")");
            return inside;
        }
        Target out;
        out.name = tokens_.expect(TokenKind::Name, "a name to assign to").text;
        static constexpr std::string_view kConstants[] = {"true", "false", "none", "True", "False", "None"};
        for (const auto constant : kConstants) {
            if (out.name == constant) tokens_.refuse(fmt::format("{} cannot be assigned to", out.name));
        }
        if (tokens_.skip_operator(".")) out.attribute = tokens_.expect(TokenKind::Name, "the name of an attribute").text;
        return out;
    }

    std::unique_ptr<Statement> set_statement() {
        const int line = tokens_.current().line;
        Target target = targets();
        if (tokens_.skip_operator("=")) {
            auto node = make<Set>();
            node->line = line;
            node->target = std::move(target);
            node->value = expressions_.tuple();
            return node;
        }
        auto node = make<SetBlock>();
        node->line = line;
        node->target = std::move(target);
        node->filters = expressions_.filters();
        node->body = body("endset");
        return node;
    }

    Signature signature() {
        Signature out;
        tokens_.expect_operator("(");
        while (!tokens_.is_operator(")")) {
            std::string name = tokens_.expect(TokenKind::Name, "the name of a parameter").text;
            ExpressionPtr fallback;
            if (tokens_.skip_operator("=")) fallback = expressions_.expression();
            else if (!out.parameters.empty() && out.parameters.back().second)
                tokens_.refuse("a parameter without a default follows one with a default");
            out.parameters.emplace_back(std::move(name), std::move(fallback));
            if (!tokens_.skip_operator(",")) break;
        }
        tokens_.expect_operator(")");
        return out;
    }

    /// A macro's body is no part of the loops around it.
    Block separate_body(std::string_view end) {
        const int loops = std::exchange(loops_, 0);
        Block block = body(end);
        loops_ = loops;
        return block;
    }

    std::unique_ptr<Statement> macro() {
        auto node = make<Macro>();
        node->name = tokens_.expect(TokenKind::Name, "the name of the macro").text;
        node->signature = signature();
        node->body = separate_body("endmacro");
        return node;
    }

    std::unique_ptr<Statement> call_block() {
        auto node = make<CallBlock>();
        if (tokens_.is_operator("(")) node->signature = signature();
        ExpressionPtr call = expressions_.expression();
        auto* plain = dynamic_cast<Call*>(call.get());
        if (plain == nullptr) tokens_.refuse("a call block needs a call");
        (void)call.release();
        node->call.reset(plain);
        node->body = separate_body("endcall");
        return node;
    }

    std::unique_ptr<Statement> filter_block() {
        auto node = make<FilterBlock>();
        node->filters.push_back(expressions_.filter());
        for (auto& more : expressions_.filters()) node->filters.push_back(std::move(more));
        node->body = separate_body("endfilter");
        return node;
    }

    std::unique_ptr<Statement> with() {
        auto node = make<With>();
        while (!tokens_.is(TokenKind::BlockEnd)) {
            Target name = target();
            tokens_.expect_operator("=");
            node->bindings.emplace_back(std::move(name), expressions_.expression());
            if (!tokens_.skip_operator(",")) break;
        }
        node->body = body("endwith");
        return node;
    }

    TokenStream tokens_;
    ExpressionParser expressions_;
    int depth_ = 0, loops_ = 0;
    bool marks_generation_ = false;
};

}  // namespace

Parsed parse(const std::string& source, const std::string& origin) { return Parser(source, origin).run(); }

}  // namespace tandem::jinja
