#include "src/io/safetensors.h"

#include <cstring>
#include <random>

#include "src/io/json.h"
#include "src/io/safetensors_writer.h"
#include "tests/io/temp_dir.h"

namespace tandem {
namespace {

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& v) {
    return std::as_bytes(std::span(v));
}

std::vector<float> ramp(std::size_t n) {
    std::vector<float> x(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i) * 0.375F - 3.0F;
    return x;
}

/// A file with this header and `data_bytes` bytes of data.
std::string file_with(const std::string& header, std::size_t data_bytes) {
    const std::uint64_t length = header.size();
    std::string text(reinterpret_cast<const char*>(&length), sizeof(length));
    return text + header + std::string(data_bytes, 'd');
}

/// The same tensors as in golden/library.safetensors, in another order and in pieces, give the same bytes.
TEST(SafetensorsWriter, LaysOutAsTheLibraryDoes) {
    const TempDir dir;
    SafetensorsWriter writer(dir / "x.safetensors", {{"a.bias", DType::F32, Shape{3}},
                                                     {"b.weight", DType::F16, Shape{2, 3}},
                                                     {"c.weight", DType::F32, Shape{2}},
                                                     {"e", DType::F64, Shape{0, 4}},
                                                     {"m", DType::U8, Shape{3}},
                                                     {"z", DType::I64, Shape{1, 1}}});
    const std::vector<std::uint8_t> m = {1, 2, 3};
    std::vector<Float16> b;
    for (int i = 0; i < 6; ++i) b.emplace_back(static_cast<float>(i));
    writer.write("m", bytes_of(m));
    writer.write("b.weight", bytes_of(b).subspan(6), 6);
    writer.write("b.weight", bytes_of(b).first(6));
    writer.write("a.bias", bytes_of(std::vector<float>{0, 1, 2}));
    writer.write("c.weight", bytes_of(std::vector<float>{0, 1}));
    writer.write("z", bytes_of(std::vector<std::int64_t>{7}));
    EXPECT_FALSE(std::filesystem::exists(dir / "x.safetensors"));
    writer.commit();
    EXPECT_EQ(slurp(dir / "x.safetensors"), slurp(golden("library.safetensors")));
    EXPECT_EQ(writer.bytes(), std::filesystem::file_size(dir / "x.safetensors"));
}

TEST(SafetensorsWriter, IncompleteTensorsAreNotCommitted) {
    const TempDir dir;
    {
        SafetensorsWriter writer(dir / "x.safetensors", {{"a", DType::F32, Shape{4}}});
        writer.write("a", bytes_of(ramp(3)));
        expect_error(Failure::Run, {"'a'", "16 bytes", "12 were written"}, [&] { writer.commit(); });
        expect_error(Failure::Run, {"'a'", "[8, 20)"}, [&] { writer.write("a", bytes_of(ramp(3)), 8); });
        expect_error(Failure::Run, {"'b'", "not declared"}, [&] { writer.write("b", {}); });
    }
    EXPECT_EQ(dir.entries(), 0U);
}

TEST(Safetensors, ReadsRowsColumnsAndTypes) {
    const TempDir dir;
    const auto x = ramp(15);
    std::vector<BFloat16> half;
    for (const auto v : x) half.emplace_back(v);
    SafetensorsWriter writer(dir / "model.safetensors",
                             {{"f", DType::F32, Shape{5, 3}}, {"h", DType::BF16, Shape{5, 3}}, {"i", DType::I64, Shape{2}}});
    writer.write("f", bytes_of(x));
    writer.write("h", bytes_of(half));
    writer.write("i", bytes_of(std::vector<std::int64_t>{1, 2}));
    writer.commit();

    const SafetensorsModel model(dir.path());
    EXPECT_EQ(model.tensors().size(), 3U);
    EXPECT_EQ(model.at("h").shape, (Shape{5, 3}));
    EXPECT_EQ(model.metadata().at("format"), "pt");
    for (const auto* name : {"f", "h"}) {  // the values are exact in bf16
        std::vector<float> rows(6);
        model.read_rows(name, 1, 3, DType::F32, rows.data());
        EXPECT_EQ(rows, std::vector<float>(x.begin() + 3, x.begin() + 9)) << name;
        std::vector<double> wide(15);
        model.read_rows(name, 0, 5, DType::F64, wide.data());
        EXPECT_EQ(wide[14], 2.25) << name;
        std::vector<BFloat16> box(4);
        model.read_box(name, 2, 4, 1, 3, DType::BF16, box.data());
        EXPECT_EQ(static_cast<float>(box[0]), x[7]) << name;
        EXPECT_EQ(static_cast<float>(box[3]), x[11]) << name;
    }
    std::vector<float> unused(2);
    expect_error(Failure::Input, {"'i'", "int64", "fp32"}, [&] { model.read_rows("i", 0, 2, DType::F32, unused.data()); });
    expect_error(Failure::Input, {"no tensor 'g'"}, [&] { (void)model.at("g"); });
    const auto before = model.bytes_read();
    model.read_rows("f", 4, 5, DType::F32, std::vector<float>(3).data());
    EXPECT_EQ(model.bytes_read() - before, 12U);  // its own range only
}

TEST(Safetensors, ConversionInPiecesLargerThanTheStaging) {
    const TempDir dir;
    const auto x = ramp(1'500'000);
    SafetensorsWriter writer(dir / "model.safetensors", {{"x", DType::F32, Shape{1500, 1000}}});
    writer.write("x", bytes_of(x));
    writer.commit();
    const SafetensorsModel model(dir / "model.safetensors");
    std::vector<double> wide(x.size());
    model.read_rows("x", 0, 1500, DType::F64, wide.data());
    for (std::size_t i = 0; i < x.size(); i += 777) ASSERT_EQ(wide[i], static_cast<double>(x[i]));
}

TEST(SafetensorsModel, ShardsWithAnIndex) {
    const TempDir dir;
    const std::vector<TensorSpec> specs = {
        {"a", DType::F32, Shape{4}}, {"b", DType::F32, Shape{4}}, {"c", DType::F32, Shape{10}}, {"d", DType::F32, Shape{1}}};
    SafetensorsModelWriter writer(dir.path(), specs, 32);
    EXPECT_EQ(writer.shards(), 3U);
    for (const auto& s : specs) writer.write(s.name, bytes_of(ramp(s.bytes() / 4)));
    writer.commit();
    EXPECT_TRUE(std::filesystem::exists(dir / "model-00002-of-00003.safetensors"));
    const auto index = read_json_file(dir / "model.safetensors.index.json");
    EXPECT_EQ(index["metadata"]["total_size"], 76);
    EXPECT_EQ(index["weight_map"]["c"], "model-00002-of-00003.safetensors");
    const SafetensorsModel model(dir.path());
    std::vector<float> c(10);
    model.read_rows("c", 0, 10, DType::F32, c.data());
    EXPECT_EQ(c, ramp(10));

    const auto broken = [&](const std::string& tensor, const std::string& shard) {
        auto changed = index;
        changed["weight_map"][tensor] = shard;
        write_json_file(dir / "model.safetensors.index.json", changed);
        return [&] { const SafetensorsModel again(dir.path()); };
    };
    expect_error(Failure::Input, {"'a'", "model-00003-of-00003", "not there"}, broken("a", "model-00003-of-00003.safetensors"));
    expect_error(Failure::Input, {"'a'", "lost.safetensors", "does not exist"}, broken("a", "lost.safetensors"));
    expect_error(Failure::Input, {"'a'", "not the name of a file"}, broken("a", "../x.safetensors"));
    put(dir / "model.safetensors.index.json", "{\"weight_map\": {}}");
    expect_error(Failure::Input, {"index.json", "lists no tensors"}, [&] { const SafetensorsModel again(dir.path()); });
}

TEST(SafetensorsModel, DirectoriesWithoutWeights) {
    const TempDir dir;
    expect_error(Failure::Configuration, {"no weights"}, [&] { const SafetensorsModel m(dir.path()); });
    put(dir / "pytorch_model.bin", "x");
    expect_error(Failure::Configuration, {"pytorch_model.bin", "pickle"}, [&] { const SafetensorsModel m(dir.path()); });
    expect_error(Failure::Configuration, {"No such file"}, [&] { const SafetensorsModel m(dir / "missing"); });
}

TEST(Safetensors, DamagedHeadersAreRefusedByName) {
    const TempDir dir;
    const auto t = [](const std::string& body) { return "{\"t\":{" + body + "}}"; };
    const std::vector<std::pair<std::string, std::pair<std::size_t, std::vector<std::string>>>> table = {
        {"[]", {0, {"does not begin with '{'"}}},
        {"{\"t\": ", {0, {"not valid JSON"}}},
        {"{\"t\": 5}", {0, {"'t'", "object"}}},
        {t(R"("shape":[1],"data_offsets":[0,4])"), {4, {"'t'", "dtype", "missing"}}},
        {t(R"("dtype":"F32","data_offsets":[0,4])"), {4, {"'t'", "shape", "missing"}}},
        {t(R"("dtype":"F32","shape":[1])"), {4, {"'t'", "data_offsets", "missing"}}},
        {t(R"("dtype":5,"shape":[1],"data_offsets":[0,4])"), {4, {"'t'", "dtype", "a string"}}},
        {t(R"("dtype":"Q9","shape":[1],"data_offsets":[0,4])"), {4, {"'t'", "unknown dtype 'Q9'"}}},
        {t(R"("dtype":"F32","shape":1,"data_offsets":[0,4])"), {4, {"'t'", "shape", "an array"}}},
        {t(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), {4, {"'t'", "negative"}}},
        {t(R"("dtype":"F32","shape":[1.5],"data_offsets":[0,4])"), {4, {"'t'", "shape[0]", "1.5"}}},
        {t(R"("dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4])"), {4, {"'t'", "too large"}}},
        {t(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), {4, {"'t'", "8 bytes", "gives it 4"}}},
        {t(R"("dtype":"F4","shape":[1],"data_offsets":[0,0])"), {0, {"'t'", "gives it 0"}}},
        {t(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), {4, {"'t'", "not a range"}}},
        {t(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), {4, {"'t'", "not a range"}}},
        {t(R"("dtype":"F32","shape":[1],"data_offsets":[-4,0])"), {4, {"'t'", ">= 0"}}},
        {t(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), {4, {"'t'", "outside", "truncated"}}},
        {t(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"), {9, {"5 bytes follow the last tensor"}}},
        {t(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"), {8, {"'t'", "a hole"}}},
        {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
         {6, {"'b'", "overlap"}}},
        {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
         {1, {"'a'", "listed twice"}}},
        {R"({"__metadata__":[]})", {0, {"__metadata__", "not an object"}}},
        {R"({"__metadata__":{"x":1}})", {0, {"__metadata__", "\"x\""}}},
        {"{}", {3, {"3 bytes follow"}}},
    };
    for (const auto& [header, rest] : table) {
        put(dir / "model.safetensors", file_with(header, rest.first));
        auto parts = rest.second;
        parts.emplace_back("model.safetensors");
        SCOPED_TRACE(header);
        expect_error(Failure::Input, parts, [&] { const SafetensorsFile f(dir / "model.safetensors"); });
    }
    for (const auto& [bytes, part] : {std::pair<std::string, std::string>{"", "only 0 bytes"},
                                      {"1234567", "only 7 bytes"},
                                      {std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), "at most"},
                                      {std::string("\x10\0\0\0\0\0\0\0{}", 10), "truncated"}}) {
        put(dir / "model.safetensors", bytes);
        expect_error(Failure::Input, {"model.safetensors", part}, [&] { const SafetensorsFile f(dir / "model.safetensors"); });
    }
}

/// Types and ranks that the format has and tandem has not: the file opens, the tensor is refused.
TEST(Safetensors, UnusableTensorsAreRefusedWhenUsed) {
    const TempDir dir;
    put(dir / "model.safetensors",
        file_with(
            R"({"b":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]},"five":{"dtype":"U8","shape":[1,1,1,1,2],"data_offsets":[2,4]}})",
            4));
    const SafetensorsModel model(dir.path());
    expect_error(Failure::Input, {"'b'", "BOOL"}, [&] { (void)model.at("b"); });
    expect_error(Failure::Input, {"'five'", "5 dimensions"}, [&] { (void)model.at("five"); });
}

/// Whatever is flipped in the header, the file is read or refused; never anything else.
TEST(Safetensors, RandomDamageNeverCrashes) {
    const TempDir dir;
    const auto whole = slurp(golden("library.safetensors"));
    std::mt19937 random(1);
    int refused = 0;
    for (int i = 0; i < 600; ++i) {
        auto bytes = whole;
        for (int flips = 1 + i % 3; flips > 0; --flips) bytes[random() % 392] = static_cast<char>(random());
        if (i % 5 == 0) bytes.resize(random() % bytes.size());
        put(dir / "model.safetensors", bytes);
        try {
            const SafetensorsModel model(dir.path());
            for (const auto& [name, entry] : model.tensors()) {
                std::vector<std::byte> data(entry.bytes);
                model.read(name, 0, data);
            }
        } catch (const Error& e) {
            EXPECT_EQ(e.failure(), Failure::Input) << e.what();
            ++refused;
        }
    }
    EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace tandem
