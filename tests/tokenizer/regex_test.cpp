// Oniguruma's patterns under PCRE2: what they must match.
#include "src/tokenizer/regex.h"

#include "tests/tokenizer/tokenizer_test_files.h"

namespace tandem {
namespace {

using Matches = std::vector<std::string>;

Matches matches(const std::string& pattern, const std::string& text) {
    Matches out;
    Regex(pattern, "test").for_each_match(text, [&](std::size_t begin, std::size_t end) {
        out.push_back(text.substr(begin, end - begin));
    });
    return out;
}

TEST(Regex, ClassesAreThoseOfUnicode16) {
    EXPECT_EQ(matches("\\p{L}+", "a\xF0\xB1\x8D\x90z"), (Matches{"a\xF0\xB1\x8D\x90z"}));  // U+31350, of Unicode 15
    EXPECT_EQ(matches("[^\\s\\p{L}]+", "1\xF0\xB1\x8D\x90"), (Matches{"1"}));
    EXPECT_EQ(matches("\\s", "a\xE1\xA0\x8E\xC2\x85z"), (Matches{"\xC2\x85"}));  // U+180E is no space, U+0085 is
    EXPECT_EQ(matches("\\S+", "a\xE1\xA0\x8E z"), (Matches{"a\xE1\xA0\x8E", "z"}));
    EXPECT_EQ(matches("\\w+", "e\xCC\x81_\xC2\xB2!"), (Matches{"e\xCC\x81_\xC2\xB2"}));     // marks and superscript two
    EXPECT_EQ(matches("\\h+", "xBEEFy"), (Matches{"BEEF"}));                                // hexadecimal digits
    EXPECT_EQ(matches("\\p{Han}", "\xE3\x80\x81\xE4\xB8\x96"), (Matches{"\xE4\xB8\x96"}));  // the script, not its extensions
}

TEST(Regex, ComplementsInsideClasses) {
    EXPECT_EQ(matches("[\\S\\n]+", "a b\nc"), (Matches{"a", "b\nc"}));
    EXPECT_EQ(matches("[^\\S\\n]+", "a \t\nb"), (Matches{" \t"}));
    EXPECT_EQ(matches("[a\\P{L}]+", "xa1y"), (Matches{"a1"}));
}

TEST(Regex, SyntaxThatDiffers) {
    EXPECT_EQ(matches("^a$", "a\nb\na"), (Matches{"a", "a"}));  // lines, always
    EXPECT_EQ(matches("(?m:a.b)", "a\nb"), (Matches{"a\nb"}));  // Ruby's m lets the dot match a newline
    EXPECT_EQ(matches("a.b", "a\nb"), (Matches{}));
    EXPECT_EQ(matches("\\d{1,3}+x|\\d", "1234x"), (Matches{"1234x"}));  // repeats the interval, is not possessive
    EXPECT_EQ(matches("a{,2}b", "aab"), (Matches{"aab"}));
    EXPECT_EQ(matches("a{x", "a{x"), (Matches{"a{x"}));
    EXPECT_EQ(matches("a++b|a", "aab"), (Matches{"aab"}));
    EXPECT_EQ(matches("(?i:'s|'t)", "'S'\xC5\xBF"), (Matches{"'S", "'\xC5\xBF"}));
    EXPECT_EQ(matches("\\bb", "ab b"), (Matches{"b"}));
}

TEST(Regex, EmptyMatchesMoveOn) { EXPECT_EQ(matches("x*", "axb").size(), 3U); }

TEST(Regex, RefusesWithNameAndPattern) {
    for (const char* pattern : {"[a[bc]]", "[a&&b]", "(?~a)", "(a", "\\p{Nonsense}", "[a"}) {
        test::expect_message(test::error_of([&] { Regex(pattern, "where.json"); }), Failure::Input, {"where.json", pattern});
    }
}

TEST(Regex, EscapesText) { EXPECT_EQ(matches(escape_regex("a.b*[c] d"), "a.b*[c] d axb*[c] d").size(), 1U); }

}  // namespace
}  // namespace tandem
