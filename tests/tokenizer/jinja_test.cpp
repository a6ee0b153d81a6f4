// The interpreter: white space, what is refused and where, and limits. Values and filters: templates/features.jinja.
#include <ctime>

#include "src/tokenizer/jinja/template.h"
#include "tests/tokenizer/tokenizer_test_files.h"

namespace tandem {
namespace {

using test::error_of;
using test::expect_message;

std::string render(const std::string& source, const nlohmann::ordered_json& variables = nlohmann::ordered_json::object()) {
    return jinja::Template(source, "t.jinja").render(variables).text;
}

void expect_refused(const std::string& source, std::initializer_list<std::string_view> parts) {
    SCOPED_TRACE(source);
    expect_message(error_of([&] { (void)render(source); }), Failure::Input, parts);
}

TEST(Jinja, WhiteSpaceAroundTags) {
    EXPECT_EQ(render("a\n  {% if true %}\n  b\n  {% endif %}\nc\n"), "a\n  b\nc");
    EXPECT_EQ(render("a {%- if true -%} b {%- endif -%} c"), "abc");
    EXPECT_EQ(render("a\n  {%+ if true +%}\nb{% endif %}"), "a\n  \nb");
    EXPECT_EQ(render("  {{ 1 }}\n  {{- 2 -}}\n x"), "  12x");
    EXPECT_EQ(render("a{# note #}\nb\n  {#- gone -#}  c"), "abc");
    EXPECT_EQ(render("x\r\ny\r\n\r\n"), "x\ny\n");
    EXPECT_EQ(render("  x{% if true %}y{% endif %}"), "  xy");
    EXPECT_EQ(render("{{ '}}' }}{{ {'a': {'b': 1}}['a']['b'] }}"), "}}1");
}

TEST(Jinja, ScopesOfLoopsAndNamespaces) {
    EXPECT_EQ(render("{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}"), "231");
    EXPECT_EQ(render("{% set n = namespace(x=1) %}{% for i in [1, 2] %}{% set n.x = n.x + i %}{% endfor %}{{ n.x }}"), "4");
    EXPECT_EQ(render("{% if true %}{% set x = 5 %}{% endif %}{{ x }}"), "5");
    EXPECT_EQ(render("{% macro m(a, b=a ~ '!') %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, z=4) }}"),
              "12(3,){'z': 4}");
}

TEST(Jinja, ErrorsNameFileAndLine) {
    expect_refused("\n\n{{ missing.attribute }}", {"t.jinja:3", "'missing' is undefined"});
    expect_refused("a\n{% if x %}\nb", {"t.jinja:3", "endif"});
    expect_refused("{{ 1 + }}", {"t.jinja:1", "}}"});
    expect_refused("\n{{ 'open }}", {"t.jinja:2", "string"});
    expect_refused("{% for x in 3 %}{% endfor %}", {"t.jinja:1", "int"});
    expect_refused("\n{{ raise_exception('roles must alternate') }}", {"t.jinja:2", "roles must alternate"});
    expect_refused("{{ 'a' + 1 }}", {"t.jinja:1", "str", "int"});
    expect_refused("{{ x | nonsense }}", {"t.jinja:1", "filter nonsense"});
    expect_refused("{{ x is nonsense }}", {"t.jinja:1", "test nonsense"});
    expect_refused("{% include 'other' %}", {"t.jinja:1", "include"});
    expect_refused("{% endfor %}", {"t.jinja:1", "endfor"});
    expect_refused("{{ 1 // 0 }}", {"division by zero"});
    expect_refused("\n{{ 'x'.nothing() }}", {"t.jinja:2", "nothing"});
    expect_refused("{% break %}", {"break"});
}

TEST(Jinja, NothingIsChangedInPlace) {
    expect_refused("{{ [1].append(2) }}", {"append", "would change"});
    expect_refused("{% set d = {} %}{{ d.update({'a': 1}) }}", {"update", "would change"});
}

TEST(Jinja, LimitsHold) {
    expect_refused("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", {"too deeply"});
    expect_refused("{{ range(1000000) }}", {"range"});
    expect_refused("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", {"t.jinja:1", "without end"});
    expect_refused("{% set n = namespace(x='x') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}", {"too long"});
    expect_refused("{% set n = namespace(x='x') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}", {"too long"});
    EXPECT_EQ(render("{{ (-1) ** 999999999999999999 }}"), "-1");
    expect_refused("{{ 'x' * 100000000000 }}", {"too long"});
    expect_refused("{{ " + std::string(5000, '(') + "1" + std::string(5000, ')') + " }}", {"levels deep"});
    std::string ifs;
    for (int i = 0; i < 500; ++i) ifs += "{% if true %}";
    expect_refused(ifs, {"levels deep"});
    EXPECT_EQ(render("{{ " + std::string(90, '(') + "1" + std::string(90, ')') + " }}"), "1");
}

TEST(Jinja, GenerationBlocksAreLocated) {
    const jinja::Template found("ä{% generation %}bc{% endgeneration %}d{% generation %}{% endgeneration %}", "t.jinja");
    EXPECT_TRUE(found.marks_generation());
    const auto result = found.render(nlohmann::ordered_json::object());
    EXPECT_EQ(result.text, "äbcd");
    EXPECT_EQ(result.generated, (std::vector<std::pair<std::size_t, std::size_t>>{{2, 4}, {5, 5}}));
    EXPECT_FALSE(jinja::Template("{{ 'generation' }}", "t").marks_generation());
    expect_refused("{% macro m() %}{% generation %}x{% endgeneration %}{% endmacro %}{{ m() }}", {"t.jinja:1", "generation"});
}

TEST(Jinja, KeysOfObjectsKeepTheirOrder) {
    const auto variables = nlohmann::ordered_json::parse(R"({"call": {"z": 1, "a": {"y": [1, 2.0], "b": null}}})");
    EXPECT_EQ(render("{{ call | tojson }}", variables), R"({"z": 1, "a": {"y": [1, 2.0], "b": null}})");
}

TEST(Jinja, TheDateIsTodays) {
    const std::time_t now = std::time(nullptr);
    char today[64];
    ASSERT_GT(std::strftime(today, sizeof today, "%d %b %Y", std::localtime(&now)), 0U);
    const std::string text = render("{{ strftime_now('%d %b %Y') }}");
    const std::time_t later = std::time(nullptr);
    char after[64];
    ASSERT_GT(std::strftime(after, sizeof after, "%d %b %Y", std::localtime(&later)), 0U);
    EXPECT_TRUE(text == today || text == after) << text;  // midnight may pass in between
}

}  // namespace
}  // namespace tandem
