#include "src/config/value.h"

#include <gtest/gtest.h>

#include <cmath>

#include "src/config/suggest.h"

namespace tandem {
namespace {

TEST(Value, IntegersAreWholeAndInRange) {
    EXPECT_EQ(parse_integer("0", at_least(0)), 0);
    EXPECT_EQ(parse_integer("+17", at_least(0)), 17);
    EXPECT_EQ(parse_integer("-3", {-5, 5}), -3);
    EXPECT_EQ(parse_integer("9223372036854775807", at_least(0)), 9223372036854775807);
    for (const char* bad : {"", "1e3", "1.0", "0x10", "12 ", " 12", "+-1", "--1", "9223372036854775808", "-1", "seven", "1_000", "1,000"}) {
        EXPECT_THROW((void)parse_integer(bad, at_least(0)), BadValue) << bad;
    }
}

TEST(Value, SeedsCoverSixtyFourBits) {
    EXPECT_EQ(parse_seed("18446744073709551615"), 18446744073709551615U);
    for (const char* bad : {"-1", "18446744073709551616", "0x1", ""}) EXPECT_THROW((void)parse_seed(bad), BadValue) << bad;
}

TEST(Value, RealsAreFiniteAndInRange) {
    EXPECT_DOUBLE_EQ(parse_real("2e-4", at_least(0)), 2e-4);
    EXPECT_DOUBLE_EQ(parse_real("+.5", at_least(0)), 0.5);
    EXPECT_DOUBLE_EQ(parse_real("5", above(0)), 5);
    for (const char* bad : {"", "nan", "inf", "-inf", "1e999", "1e-4x", "1,5", "0x1p3", "-1"}) {
        EXPECT_THROW((void)parse_real(bad, at_least(0)), BadValue) << bad;
    }
    EXPECT_THROW((void)parse_real("0", above(0)), BadValue);
    EXPECT_THROW((void)parse_real("1", {0, 1, Range::Upper::Exclusive}), BadValue);
    EXPECT_DOUBLE_EQ(parse_real("1", {0, 1}), 1);
}

TEST(Value, BooleansInAnyCase) {
    for (const char* yes : {"true", "True", "YES", "on", "1"}) EXPECT_TRUE(parse_bool(yes)) << yes;
    for (const char* no : {"false", "FALSE", "No", "off", "0"}) EXPECT_FALSE(parse_bool(no)) << no;
    for (const char* bad : {"", "2", "t", "maybe", "truee"}) EXPECT_THROW((void)parse_bool(bad), BadValue) << bad;
}

TEST(Value, BytesWithUnits) {
    EXPECT_EQ(parse_bytes("24GiB"), 24ULL << 30U);
    EXPECT_EQ(parse_bytes("80GB"), 80'000'000'000ULL);
    EXPECT_EQ(parse_bytes("1.5 tib"), 3ULL << 39U);
    EXPECT_EQ(parse_bytes("4096"), 4096U);
    EXPECT_EQ(parse_bytes("4096B"), 4096U);
    for (const char* bad : {"", "GiB", "24GiBs", "24 G B", "-1GiB", "0", "0.1B", "nan", "1e30GB", "24 gigabytes"}) {
        EXPECT_THROW((void)parse_bytes(bad), BadValue) << bad;
    }
}

TEST(Value, Seconds) {
    EXPECT_DOUBLE_EQ(parse_seconds("90"), 90);
    EXPECT_DOUBLE_EQ(parse_seconds("1.5s"), 1.5);
    EXPECT_DOUBLE_EQ(parse_seconds("10min"), 600);
    EXPECT_DOUBLE_EQ(parse_seconds("2 h"), 7200);
    for (const char* bad : {"", "0", "-1", "10 years", "inf"}) EXPECT_THROW((void)parse_seconds(bad), BadValue) << bad;
}

TEST(Value, Lists) {
    EXPECT_EQ(parse_list("a"), (std::vector<std::string>{"a"}));
    EXPECT_EQ(parse_list("a, b c ,d"), (std::vector<std::string>{"a", "b c", "d"}));
    for (const char* bad : {"", ",", "a,", ",a", "a,,b", "a, ,b"}) EXPECT_THROW((void)parse_list(bad), BadValue) << bad;
}

TEST(Value, ShortestTextReadsBackAsTheSameDouble) {
    for (const double x : {2e-4, 1.0 / 3, 1e-8, 0.999, 32.0}) EXPECT_EQ(std::stod(shortest(x)), x);
    EXPECT_EQ(shortest(2e-4), "0.0002");
}

TEST(Value, RangesInWords) {
    EXPECT_EQ(at_least(1).describe(), "at least 1");
    EXPECT_EQ(above(0).describe(), "above 0");
    EXPECT_EQ((Range{0, 1}).describe(), "from 0 to 1");
    EXPECT_EQ((Range{0, 1, Range::Upper::Exclusive}).describe(), "from 0, below 1");
}

TEST(Suggest, EditDistance) {
    EXPECT_EQ(edit_distance("", "abc"), 3U);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
    EXPECT_EQ(edit_distance("trian", "train"), 1U);
    EXPECT_EQ(edit_distance("max-steps", "Max_Steps"), 0U);
}

TEST(Suggest, NearestOrNothing) {
    const std::vector<std::string> names = {"train", "tokenize", "eval"};
    EXPECT_EQ(nearest("trane", names), "train");
    EXPECT_EQ(nearest("tokenise", names), "tokenize");
    EXPECT_EQ(nearest("frobnicate", names), "");
    EXPECT_EQ(nearest("", names), "");
}

}  // namespace
}  // namespace tandem
