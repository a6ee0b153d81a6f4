#include "src/io/json.h"

#include <limits>

#include "tests/io/temp_dir.h"

namespace tandem {
namespace {

TEST(Json, ErrorsNameFileLineAndColumn) {
    const TempDir dir;
    const auto read = [&](const std::string& text) {
        put(dir / "c.json", text);
        return [file = dir / "c.json"] { (void)read_json_file(file); };
    };
    expect_error(Failure::Input, {"c.json:3:7:", "not valid JSON"}, read("{\n \"a\": 1,\n \"b\": }\n}"));
    expect_error(Failure::Input, {"c.json:1:1:"}, read(""));
    expect_error(Failure::Input, {"c.json:1:7:"}, read("{\"a\": NaN}"));
    expect_error(Failure::Input, {"c.json", "not valid JSON"}, read("1e999"));
    expect_error(Failure::Input, {"c.json:1:2:"}, read("\"\xff\""));
    expect_error(Failure::Input, {"data.jsonl:17:1:"}, [] { (void)parse_json("}", "data.jsonl", 17); });
    expect_error(Failure::Configuration, {"missing.json"}, [&] { (void)read_json_file(dir / "missing.json"); });
    EXPECT_NO_THROW(read(std::string(200000, '[') + std::string(200000, ']'))());  // depth costs no stack
}

TEST(Json, TypedMembers) {
    const auto j = Json::parse(
        R"({"i": 3, "f": 2.5, "w": 8192.0, "n": null, "s": "x", "b": true, "l": [1, 2], "neg": -1, "big": 18446744073709551615})");
    EXPECT_EQ(get<int>(j, "i", "f"), 3);
    EXPECT_EQ(get<int>(j, "w", "f"), 8192);
    EXPECT_EQ(get<double>(j, "i", "f"), 3.0);
    EXPECT_EQ(get<std::string>(j, "s", "f"), "x");
    EXPECT_EQ(get<std::vector<std::int64_t>>(j, "l", "f"), (std::vector<std::int64_t>{1, 2}));
    EXPECT_EQ(get<std::uint64_t>(j, "big", "f"), UINT64_MAX);
    EXPECT_EQ(get_or(j, "n", 7, "f"), 7);
    EXPECT_EQ(find<bool>(j, "absent", "c.json"), std::nullopt);
    expect_error(Failure::Input, {"c.json", "\"absent\"", "missing"}, [&] { (void)get<int>(j, "absent", "c.json"); });
    expect_error(Failure::Input, {"\"f\" is 2.5", "an integer"}, [&] { (void)get<int>(j, "f", "c.json"); });
    expect_error(Failure::Input, {"\"neg\" is -1", ">= 0"}, [&] { (void)get<std::uint64_t>(j, "neg", "c.json"); });
    expect_error(Failure::Input, {"\"big\""}, [&] { (void)get<std::int64_t>(j, "big", "c.json"); });
    expect_error(Failure::Input, {"\"b\" is true", "a number"}, [&] { (void)get<double>(j, "b", "c.json"); });
    expect_error(Failure::Input, {"\"i\" is 3", "true or false"}, [&] { (void)find<bool>(j, "i", "c.json"); });
    expect_error(Failure::Input, {"\"s\"", "an array"}, [&] { (void)get<std::vector<int>>(j, "s", "c.json"); });
    expect_error(Failure::Input, {"an object", "\"i\""}, [&] { (void)get<int>(Json(3), "i", "c.json"); });
}

TEST(Json, NumbersRoundTripAndNonFiniteIsNull) {
    for (const double x : {0.1, 1.0 / 3.0, 5e-324, 1.7976931348623157e308, 2e-4}) EXPECT_EQ(Json::parse(dump_json(x)).get<double>(), x);
    EXPECT_EQ(dump_json(Json{{"x", std::numeric_limits<double>::quiet_NaN()}}), R"({"x":null})");
    EXPECT_EQ(dump_json(2e-4), "0.0002");
    EXPECT_EQ(dump_json("\xff"), "\"\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace tandem
