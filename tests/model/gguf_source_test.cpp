// A GGUF file as a model: what is read from it directly is what `tandem import --dtype fp32` writes.
#include "src/model/gguf_source.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "src/io/gguf_import.h"
#include "src/io/model_directory.h"
#include "src/model/parameters.h"
#include "tests/io/temp_dir.h"

namespace tandem {
namespace {

class GgufModel : public testing::TestWithParam<const char*> {
protected:
    GgufModel() : file_(golden(GetParam())) { import_gguf(file_, dir_ / "imported", DType::F32); }
    TempDir dir_;
    std::filesystem::path file_, imported_ = dir_ / "imported";
};

std::vector<std::byte> read(const WeightSource& source, const Parameter& p, const Box& box, DType dtype) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(box.shape.elements()) * size_of(dtype));
    source.read(p, box, dtype, bytes.data());
    return bytes;
}

}  // namespace

TEST_P(GgufModel, TextsAreThoseOfTheImport) {
    for (const auto& entry : std::filesystem::directory_iterator(imported_)) {
        const auto name = entry.path().filename();
        if (name == "model.safetensors" || name == "config.json") continue;
        ASSERT_TRUE(has_model_file(file_ / name)) << name;
        EXPECT_EQ(read_model_file(file_ / name), slurp(entry.path())) << name;
    }
    auto config = read_json_file(imported_ / "config.json");
    config["torch_dtype"] = "bfloat16";
    EXPECT_EQ(read_model_json(file_ / "config.json"), config);
    EXPECT_FALSE(has_model_file(file_ / "chat_template.jinja"));
    EXPECT_EQ(load_model_config(file_).vocabulary, load_model_config(imported_).vocabulary);
}

/// Whoever trains straight from a file is told what the import would have told.
TEST(GgufDirectory, SaysWhatIsAssumed) {
    const TempDir dir;
    std::string bytes = slurp(golden("byte_level.gguf"));
    const std::string key = "tokenizer.ggml.pre";
    EXPECT_TRUE(std::ranges::none_of(model_warnings(golden("byte_level.gguf")), [&](const auto& w) { return w.find(key) != w.npos; }));
    bytes.replace(bytes.find(key), key.size(), "tokenizer.ggml.prx");
    put(dir / "m.gguf", bytes);
    EXPECT_TRUE(std::ranges::any_of(model_warnings(dir / "m.gguf"), [&](const auto& w) { return w.find(key) != w.npos; }));
    EXPECT_TRUE(model_warnings(dir.path()).empty());
}

TEST_P(GgufModel, BoxesAreThoseOfTheImport) {
    const ModelConfig model = load_model_config(file_);
    const GgufSource source(file_);
    const FileSource imported(imported_);
    const ParamTable table = list_parameters(model, Trained::Nothing, nullptr);
    source.check(table, false);
    EXPECT_TRUE(source.unused(table).empty());
    std::mt19937 random(7);
    for (const Parameter& p : table) {
        EXPECT_FALSE(source.has_blocks(p));
        EXPECT_EQ(read(source, p, whole_box(p.global), DType::F32), read(imported, p, whole_box(p.global), DType::F32)) << p.name;
        for (int i = 0; i < 30; ++i) {
            Box box = whole_box(p.global);
            std::vector<std::int64_t> offset, shape;
            for (int d = 0; d < p.global.dims(); ++d) {
                const auto pick = [&](std::int64_t n) { return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n)); };
                offset.push_back(pick(p.global[d]));
                shape.push_back(1 + pick(p.global[d] - offset.back()));
            }
            if (p.global.dims() == 2) box = {{offset[0], offset[1]}, {shape[0], shape[1]}};
            else box = {{offset[0]}, {shape[0]}};
            const DType dtype = i % 2 == 0 ? DType::F32 : DType::BF16;
            ASSERT_EQ(read(source, p, box, dtype), read(imported, p, box, dtype)) << p.name << " " << box.shape.str();
        }
    }
}

TEST_P(GgufModel, AnotherShapeIsRefused) {
    ModelConfig model = load_model_config(file_);
    const GgufSource source(file_);
    model.ffn += 2;
    expect_error(Failure::Input, {"gguf", "ffn_gate"}, [&] { source.check(list_parameters(model, Trained::Nothing, nullptr), false); });
    model.ffn -= 2;
    ++model.layers;
    model.windows.push_back(0);
    expect_error(Failure::Input, {"gguf", "no tensor", "model.layers."},
                 [&] { source.check(list_parameters(model, Trained::Nothing, nullptr), false); });
}

INSTANTIATE_TEST_SUITE_P(Files, GgufModel, testing::Values("byte_level.gguf", "sentencepiece.gguf"));

TEST(ModelPath, IsADirectoryOrAGgufFile) {
    const TempDir dir;
    put(dir / "model.bin", "x");
    require_model("--model", dir.path());
    require_model("--model", golden("byte_level.gguf"));
    expect_error(Failure::Configuration, {"--model", "model.bin", ".gguf"}, [&] { require_model("--model", dir / "model.bin"); });
    expect_error(Failure::Configuration, {"--model", "none.gguf", "no such"}, [&] { require_model("--model", dir / "none.gguf"); });
    EXPECT_THROW((void)read_model_file(golden("byte_level.gguf") / "vocab.json"), Error);
}

}  // namespace tandem
