// `tandem quantize` and the sources that quantise, against what bitsandbytes made of the same model (tests/golden/make_quantized.py).
#include "src/model/quantize_model.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <limits>

#include "src/io/json.h"
#include "src/io/safetensors.h"
#include "src/io/safetensors_writer.h"
#include "src/model/block_quantization.h"
#include "src/model/parameters.h"
#include "tests/io/temp_dir.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;
const fs::path kGolden = TANDEM_SOURCE_DIR "/tests/golden/quantized";

struct Variant {
    const char* name;
    FourBit type;
    bool double_quant;
    DType compute;
    std::vector<std::string> skipped = {};
};
const Variant kVariants[] = {{"nf4_nested", FourBit::NF4, true, DType::BF16},
                             {"nf4", FourBit::NF4, false, DType::F32},
                             {"fp4_nested", FourBit::FP4, true, DType::F32, {"o_proj"}},
                             {"fp4", FourBit::FP4, false, DType::F32}};

QuantizationSpec spec_of(const Variant& v) {
    return {.type = v.type, .block_size = 64, .double_quant = v.double_quant, .skip_modules = v.skipped};
}

std::vector<std::byte> bytes_of(const SafetensorsModel& model, const std::string& name) {
    std::vector<std::byte> bytes(model.at(name).bytes);
    model.read(name, 0, bytes);
    return bytes;
}

void expect_same_tensors(const fs::path& found, const fs::path& wanted) {
    const SafetensorsModel a(found), b(wanted);
    ASSERT_EQ(a.tensors().size(), b.tensors().size());
    for (const auto& [name, entry] : b.tensors()) {
        ASSERT_TRUE(a.contains(name)) << name;
        EXPECT_EQ(a.at(name).type, entry.type) << name;
        EXPECT_EQ(a.at(name).shape, entry.shape) << name;
        EXPECT_EQ(bytes_of(a, name), bytes_of(b, name)) << name;
    }
}

fs::path copy_of_base(const TempDir& dir) {
    const fs::path base = dir / "base";
    fs::copy(kGolden / "base", base);
    return base;
}

/// The first of "model.layers.0.self_attn.q_proj.weight"'s elements becomes infinite.
void spoil(const fs::path& directory) {
    const SafetensorsModel model(directory);
    const auto offset = model.at("model.layers.0.self_attn.q_proj.weight").offset;
    std::fstream file(directory / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.write("\x80\x7f", 2);
}

}  // namespace

TEST(QuantizeModel, WritesWhatBitsandbytesWrites) {
    for (const Variant& v : kVariants) {
        SCOPED_TRACE(v.name);
        const TempDir dir;
        const auto summary = quantize_model(kGolden / "base", dir / "out", {.spec = spec_of(v), .compute = v.compute});
        expect_same_tensors(dir / "out", kGolden / v.name);
        EXPECT_EQ(read_json_file(dir / "out" / "config.json"), read_json_file(kGolden / v.name / "config.json"));
        EXPECT_EQ(summary.total().matrices, v.skipped.empty() ? 7 : 6);
        EXPECT_EQ(summary.modules.at("up_proj").weights, 16800);
        EXPECT_EQ(summary.modules.at("up_proj").bytes_before, 33600U);
        EXPECT_EQ(summary.kept, v.skipped.empty() ? 5 : 6);
    }
}

TEST(QuantizeModel, KeepsShardsAndFiles) {
    const TempDir dir;
    const fs::path base = copy_of_base(dir);
    put(base / "tokenizer.json", "{ \"as\":  1 }");
    put(base / "pytorch_model.bin", "pickle");
    put(base / ".gitattributes", "x");
    fs::create_directory(base / "original");
    put(base / "adapter_config.json", "{}");  // transformers would look for the adapter's weights
    fs::create_directory(base / "additional_chat_templates");
    put(base / "additional_chat_templates" / "tool_use.jinja", "{{ x }}");
    put(dir / "blob", "linked");
    fs::create_symlink(dir / "blob", base / "tokenizer.model");
    fs::create_symlink(dir / "nowhere", base / "merges.txt");
    const auto summary = quantize_model(base, dir / "out", {.spec = spec_of(kVariants[0]), .compute = {}, .max_shard_bytes = 12000});
    EXPECT_EQ(slurp(dir / "out" / "tokenizer.json"), "{ \"as\":  1 }");
    EXPECT_EQ(slurp(dir / "out" / "additional_chat_templates" / "tool_use.jinja"), "{{ x }}");
    EXPECT_EQ(slurp(dir / "out" / "tokenizer.model"), "linked");
    EXPECT_FALSE(fs::is_symlink(dir / "out" / "tokenizer.model"));
    EXPECT_EQ(summary.left_out, (std::vector<std::string>{".gitattributes", "adapter_config.json", "merges.txt", "model.safetensors",
                                                          "original", "pytorch_model.bin"}));
    EXPECT_FALSE(fs::exists(dir / "out" / "model.safetensors"));
    expect_same_tensors(dir / "out", kGolden / "nf4_nested");
    const auto index = read_json_file(dir / "out" / "model.safetensors.index.json");
    const SafetensorsModel written(dir / "out");
    std::uint64_t bytes = 0;
    for (const auto& [name, entry] : written.tensors()) bytes += entry.bytes;
    EXPECT_EQ(index.at("metadata").at("total_size"), bytes);
    EXPECT_GE(std::distance(fs::directory_iterator(dir / "out"), fs::directory_iterator()), 6);
}

TEST(QuantizeModel, WritesIntoTheModelsDirectoryAsWell) {
    const TempDir dir;
    const fs::path base = copy_of_base(dir);
    EXPECT_EQ(quantize_model(base, base / "nf4", {}).left_out, std::vector<std::string>{"model.safetensors"});
    expect_same_tensors(base / "nf4", kGolden / "nf4_nested");
}

TEST(QuantizeModel, RefusesAndLeavesNothing) {
    const TempDir dir;
    const fs::path base = copy_of_base(dir), out = dir / "out";
    const auto with = [](std::vector<std::string> skipped) {
        QuantizeSettings settings;
        settings.spec.skip_modules = std::move(skipped);
        return settings;
    };
    expect_error(Failure::Configuration, {"--skip-modules", "'up_prj'", "up_proj"}, [&] { quantize_model(base, out, with({"up_prj"})); });
    expect_error(Failure::Input, {"nothing is left"}, [&] { quantize_model(base, out, with({"self_attn", "mlp"})); });
    expect_error(Failure::Input, {"quantised already", "nf4"}, [&] { quantize_model(kGolden / "nf4", out, {}); });
    expect_error(Failure::Configuration, {"not empty"}, [&] { quantize_model(base, base, {}); });
    spoil(base);
    expect_error(Failure::Input, {"model.safetensors", "q_proj.weight", "index 0"}, [&] { quantize_model(base, out, {}); });
    EXPECT_EQ(dir.entries(), 1U);  // base alone: neither the directory nor a temporary one
    std::vector<double> wide(40 * 40);
    SafetensorsWriter writer(base / "model.safetensors", {{"model.layers.0.self_attn.q_proj.weight", DType::F64, {40, 40}}});
    writer.write("model.layers.0.self_attn.q_proj.weight", std::as_bytes(std::span(wide)));
    writer.commit();
    expect_error(Failure::Input, {"no tensor"}, [&] { quantize_model(base, out, {}); });
}

TEST(QuantizingSource, IsAFileOfBlocks) {
    for (const Variant& v : kVariants) {
        SCOPED_TRACE(v.name);
        const FileSource base(kGolden / "base"), stored(kGolden / v.name);
        const QuantizationSpec spec = spec_of(v);
        const QuantizingSource source(base, spec);
        for (const Parameter& p : list_parameters(load_model_config(kGolden / "base"), Trained::Nothing, nullptr, &spec)) {
            ASSERT_EQ(source.has_blocks(p), stored.has_blocks(p)) << p.name;
            std::vector<float> ours(static_cast<std::size_t>(p.global.elements())), theirs(ours.size());
            source.read(p, p.box, DType::F32, reinterpret_cast<std::byte*>(ours.data()));
            stored.read(p, p.box, DType::F32, reinterpret_cast<std::byte*>(theirs.data()));
            EXPECT_EQ(ours, theirs) << p.name;
            if (p.global.dims() == 2) {
                const Box box{{3, 5}, {p.global[0] - 4, p.global[1] - 9}};
                source.read(p, box, DType::BF16, reinterpret_cast<std::byte*>(ours.data()));
                stored.read(p, box, DType::BF16, reinterpret_cast<std::byte*>(theirs.data()));
                EXPECT_EQ(std::memcmp(ours.data(), theirs.data(), static_cast<std::size_t>(box.shape.elements()) * 2), 0) << p.name;
            }
            if (!source.has_blocks(p)) continue;
            std::vector<std::uint8_t> our_codes(101), their_codes(101);
            source.read_codes(p, 77, our_codes);
            stored.read_codes(p, 77, their_codes);
            EXPECT_EQ(our_codes, their_codes) << p.name;
            const BlockScales a = source.read_scales(p), b = stored.read_scales(p);
            EXPECT_EQ(std::tie(a.absmax, a.codes, a.nested, a.offset), std::tie(b.absmax, b.codes, b.nested, b.offset)) << p.name;
        }
    }
}

}  // namespace tandem
