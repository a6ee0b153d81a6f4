#include "src/io/gguf.h"

#include <cmath>
#include <functional>
#include <random>

#include "src/io/safetensors.h"
#include "tests/io/gguf_builder.h"
#include "tests/io/temp_dir.h"

namespace tandem {
namespace {

using B = GgufBuilder;

/// Random blocks against gguf's Python reference (make_golden.py), bit for bit.
TEST(GgmlBlocks, EqualTheReference) {
    const SafetensorsModel reference(golden("ggml_blocks.safetensors"));
    int types = 0;
    for (std::uint32_t number = 0; number < 64; ++number) {
        const auto type = static_cast<GgmlType>(number);
        const auto* block = find_ggml_block(type);
        if (block == nullptr || !reference.contains(std::string(block->name) + ".blocks")) continue;
        const auto name = std::string(block->name);
        std::vector<std::byte> blocks(reference.at(name + ".blocks").bytes);
        std::vector<std::uint32_t> expected(reference.at(name + ".values").bytes / 4);
        reference.read(name + ".blocks", 0, blocks);
        reference.read(name + ".values", 0, std::as_writable_bytes(std::span(expected)));
        std::vector<float> values(expected.size());
        dequantize(type, blocks, values);
        std::size_t different = 0;
        for (std::size_t i = 0; i < values.size(); ++i) different += std::bit_cast<std::uint32_t>(values[i]) != expected[i];
        EXPECT_EQ(different, 0U) << name << " of " << values.size();
        ++types;
    }
    EXPECT_EQ(types, 12);
    expect_error(Failure::Run, {"IQ4_NL", "cannot be decoded"}, [] {
        std::vector<float> values(32);
        dequantize(static_cast<GgmlType>(20), std::vector<std::byte>(18), values);
    });
}

B sample() {
    B b;
    b.string("general.architecture", "llama").u32("a.u32", 7).f32("a.eps", 1e-5F).boolean("a.flag", true);
    b.key("a.i8", B::I8, B::raw(std::int8_t{-3})).key("a.u64", B::U64, B::raw(UINT64_MAX)).key("a.f64", B::F64, B::raw(0.1));
    b.key("a.i16", B::I16, B::raw(std::int16_t{-300}))
        .key("a.u8", B::U8, B::raw(std::uint8_t{200}))
        .key("a.i64", B::I64, B::raw(std::int64_t{-5}));
    b.strings("a.names", {"x", "", "zz"}).list<std::int32_t>("a.list", B::I32, {1, -2});
    b.key("a.nested", B::Array,
          B::raw(std::uint32_t{B::Array}) + B::raw(std::uint64_t{1}) + B::raw(std::uint32_t{B::U8}) + B::raw(std::uint64_t{2}) + "ab");
    b.floats("w", {2, 3}, {1, 2, 3, 4, 5, 6}).floats("v", {2}, {7, 8});
    return b;
}

TEST(Gguf, MetadataAndTensors) {
    const TempDir dir;
    for (const std::uint32_t version : {2U, 3U}) {
        auto builder = sample();
        builder.version = version;
        put(dir / "x.gguf", builder.bytes());
        const GgufFile file(dir / "x.gguf");
        EXPECT_EQ(file.text("general.architecture"), "llama");
        EXPECT_EQ(file.integer("a.u32"), 7);
        EXPECT_EQ(file.integer("a.i8"), -3);
        EXPECT_EQ(file.integer("a.i16"), -300);
        EXPECT_EQ(file.integer("a.u8"), 200);
        EXPECT_EQ(file.integer("a.i64"), -5);
        EXPECT_EQ(file.number("a.eps"), 1e-5);  // and not 9.99999974e-06
        EXPECT_EQ(file.number("a.f64"), 0.1);
        EXPECT_EQ(file.boolean("a.flag"), true);
        EXPECT_EQ(file.texts("a.names"), (std::vector<std::string>{"x", "", "zz"}));
        EXPECT_EQ(file.integers("a.list"), (std::vector<std::int64_t>{1, -2}));
        EXPECT_EQ(file.integer("absent"), std::nullopt);
        expect_error(Failure::Input, {"'a.names'", "an integer"}, [&] { (void)file.integer("a.names"); });
        expect_error(Failure::Input, {"'a.u64'", "an integer"}, [&] { (void)file.integer("a.u64"); });
        expect_error(Failure::Input, {"'a.u32'", "a string"}, [&] { (void)file.text("a.u32"); });
        expect_error(Failure::Input, {"'a.nested'", "an array of strings"}, [&] { (void)file.texts("a.nested"); });
        ASSERT_NE(file.find_tensor("w"), nullptr);
        EXPECT_EQ(file.find_tensor("w")->shape, (Shape{2, 3}));
        std::vector<float> row(3);
        file.read_rows(*file.find_tensor("w"), 1, 2, row);
        EXPECT_EQ(row, (std::vector<float>{4, 5, 6}));
        std::vector<float> v(2);
        file.read_rows(*file.find_tensor("v"), 0, 1, v);
        EXPECT_EQ(v, (std::vector<float>{7, 8}));
    }
}

TEST(Gguf, StringsLongerThanTheWindow) {
    const TempDir dir;
    const std::string big(3'000'000, 'x');
    put(dir / "x.gguf", B().string("a", big).u32("b", 5).strings("c", {big, "end"}).u32("d", 6).bytes());
    const GgufFile file(dir / "x.gguf");
    EXPECT_EQ(file.text("a")->size(), big.size());
    EXPECT_EQ(file.integer("b"), 5);
    EXPECT_EQ(file.texts("c")->at(1), "end");
    EXPECT_EQ(file.integer("d"), 6);
}

TEST(Gguf, DamagedFilesAreRefusedByName) {
    const TempDir dir;
    const auto huge = std::uint64_t{1} << 60U;
    struct Case {
        std::vector<std::string> message;
        std::function<std::string()> bytes;
    };
    const auto with = [](auto change) {
        return [change] {
            auto b = sample();
            change(b);
            return b.bytes();
        };
    };
    const std::vector<Case> table = {
        {{"not a GGUF file"}, [] { return std::string(); }},
        {{"not a GGUF file"}, [] { return std::string("GGU"); }},
        {{"not a GGUF file"}, with([](B& b) { b.magic = "GGML"; })},
        {{"truncated"}, [] { return std::string("GGUF"); }},
        {{"version 1"}, with([](B& b) { b.version = 1; })},
        {{"version 4"}, with([](B& b) { b.version = 4; })},
        {{"big-endian"}, with([](B& b) { b.version = 3U << 24U; })},
        {{"tensors are announced"}, with([huge](B& b) { b.tensor_count = huge; })},
        {{"metadata keys are announced"}, with([huge](B& b) { b.key_count = huge; })},
        {{"truncated"}, with([](B& b) { b.key_count += 1; })},
        {{"tensor number 2"},
         [] {
             auto b = sample();
             b.tensor_count += 1;
             return b.header();
         }},
        {{"tensor"}, with([](B& b) { b.key_count -= 1; })},
        {{"'a.bad'", "unknown value type 13"}, with([](B& b) { b.key("a.bad", 13, ""); })},
        {{"'a.bad'", "unknown array element type 99"},
         with([](B& b) { b.key("a.bad", B::Array, B::raw(99U) + B::raw(std::uint64_t{1}) + "x"); })},
        {{"'a.bad'", "elements are announced"},
         with([huge](B& b) { b.key("a.bad", B::Array, B::raw(std::uint32_t{B::U8}) + B::raw(huge)); })},
        {{"'a.bad'", "elements are announced"},
         with([](B& b) { b.key("a.bad", B::Array, B::raw(std::uint32_t{B::String}) + B::raw(std::uint64_t{1000})); })},
        {{"'a.bad'", "truncated", "are wanted"}, with([huge](B& b) { b.key("a.bad", B::String, B::raw(huge)); })},
        {{"metadata key number", "truncated"},
         [] {
             B b;
             b.key_count = 1;
             return b.header() + B::raw(UINT64_MAX) + std::string(40, 'x');
         }},
        {{"'a.bad'", "nested too deeply"}, with([](B& b) {
             std::string value;
             for (int i = 0; i < 5; ++i) value += B::raw(std::uint32_t{B::Array}) + B::raw(std::uint64_t{1});
             b.key("a.bad", B::Array, value + std::string(64, '\0'));
         })},
        {{"'a.u32'", "occurs twice"}, with([](B& b) { b.u32("a.u32", 8); })},
        {{"general.alignment"}, with([](B& b) { b.u32("general.alignment", 0); })},
        {{"general.alignment"}, with([](B& b) { b.u32("general.alignment", 24); })},
        {{"general.alignment"}, with([](B& b) { b.string("general.alignment", "32"); })},
        {{"'t'", "5 dimensions"}, with([](B& b) {
             b.info("t", {1, 1, 1, 1, 1}, 0, 64);
         })},
        {{"'t'", "impossible extent 0"}, with([](B& b) { b.info("t", {0}, 0, 64); })},
        {{"'t'", "impossible extent"}, with([huge](B& b) {
             b.info("t", {huge, huge}, 0, 64);
         })},
        {{"'t'", "unknown ggml type 4"}, with([](B& b) { b.info("t", {32}, 4, 64); })},
        {{"'t'", "unknown ggml type 4000000000"}, with([](B& b) { b.info("t", {32}, 4000000000U, 64); })},
        {{"'t'", "not whole blocks of Q8_0"}, with([](B& b) { b.info("t", {31}, 8, 64); })},
        {{"'t'", "multiple of the alignment"}, with([](B& b) { b.info("t", {1}, 0, 65); })},
        {{"'t'", "beyond the file", "truncated"}, with([](B& b) { b.info("t", {1000}, 0, 64); })},
        {{"'t'", "beyond the file"}, with([](B& b) { b.info("t", {1}, 0, UINT64_MAX - 31); })},
        {{"'t'", "'w'", "overlap"}, with([](B& b) { b.info("t", {1}, 0, 0); })},
        {{"'w'", "listed twice"}, with([](B& b) { b.tensor("w", {1}, 0, "abcd"); })},
        {{"'v'", "truncated"},
         [] {
             const auto bytes = sample().bytes();
             return bytes.substr(0, bytes.size() - 1);
         }},
    };
    EXPECT_GE(table.size(), 25U);
    for (const auto& c : table) {
        put(dir / "x.gguf", c.bytes());
        SCOPED_TRACE(c.message.front());
        auto parts = c.message;
        parts.emplace_back("x.gguf");
        expect_error(Failure::Input, parts, [&] { const GgufFile file(dir / "x.gguf"); });
    }
    expect_error(Failure::Configuration, {"missing.gguf"}, [&] { const GgufFile file(dir / "missing.gguf"); });
}

TEST(Gguf, EveryTruncationOfTheHeaderIsRefused) {
    const TempDir dir;
    const auto header = sample().header();
    for (std::size_t n = 0; n < header.size(); ++n) {
        put(dir / "x.gguf", header.substr(0, n));
        expect_error(Failure::Input, {"x.gguf"}, [&] { const GgufFile file(dir / "x.gguf"); });
    }
}

/// Whatever is flipped in the header, the file is read or refused; never anything else.
TEST(Gguf, RandomDamageNeverCrashes) {
    const TempDir dir;
    const auto whole = sample().bytes();
    const auto header = sample().header().size();
    std::mt19937 random(1);
    int refused = 0;
    for (int i = 0; i < 500; ++i) {
        auto bytes = whole;
        for (int flips = 1 + i % 3; flips > 0; --flips) bytes[random() % header] = static_cast<char>(random());
        if (i % 5 == 0) bytes.resize(random() % bytes.size());
        put(dir / "x.gguf", bytes);
        try {
            const GgufFile file(dir / "x.gguf");
            for (const auto& t : file.tensors()) {
                if (!ggml_block(t.type).decodable) continue;
                std::vector<float> values(static_cast<std::size_t>(t.shape.elements()));
                file.read_rows(t, 0, t.rows(), values);
            }
        } catch (const Error& e) {
            EXPECT_EQ(e.failure(), Failure::Input) << e.what();
            ++refused;
        }
    }
    EXPECT_GT(refused, 200);
}

}  // namespace
}  // namespace tandem
