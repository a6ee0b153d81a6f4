// Model directories in four bits as transformers wrote them (tests/golden/make_quantized.py): what config.json says, and FileSource.
#include <gtest/gtest.h>

#include "kernels/quant/four_bit.h"
#include "src/io/convert.h"
#include "src/io/json.h"
#include "src/model/parameters.h"
#include "src/model/quantization_config.h"
#include "src/model/weights.h"
#include "tests/io/temp_dir.h"
#include "tests/support/crc32.h"

namespace tandem {
namespace {

const std::filesystem::path kGolden = TANDEM_SOURCE_DIR "/tests/golden/quantized";

void copy_to(const std::filesystem::path& from, const std::filesystem::path& to) {
    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
}

std::vector<std::string> covered(const ModelConfig& model) {
    std::vector<std::string> paths;
    for (const auto& linear : linear_layers(model, 0))
        if (model.quantization->covers(linear.path)) paths.push_back(linear.path.substr(linear.path.rfind('.') + 1));
    return paths;
}

const std::vector<std::string> kAll = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};

}  // namespace

TEST(StoredBlocks, ConfigAndFilesSayHowTheyAre) {
    for (const auto& [variant, type, double_quant] : {std::tuple("nf4_nested", FourBit::NF4, true), std::tuple("nf4", FourBit::NF4, false),
                                                      std::tuple("fp4_nested", FourBit::FP4, true), std::tuple("fp4", FourBit::FP4, false),
                                                      std::tuple("nf4_bf16", FourBit::NF4, true)}) {
        const ModelConfig model = load_model_config(kGolden / variant);
        ASSERT_TRUE(model.quantization) << variant;
        EXPECT_TRUE(model.quantization->stored);
        EXPECT_EQ(model.quantization->type, type) << variant;
        EXPECT_EQ(model.quantization->double_quant, double_quant) << variant;
        EXPECT_EQ(model.quantization->block_size, 64) << variant;
        auto layers = kAll;
        if (std::string_view(variant) == "fp4_nested") std::erase(layers, "o_proj");
        EXPECT_EQ(covered(model), layers) << variant;
    }
    EXPECT_FALSE(load_model_config(kGolden / "base").quantization);
}

TEST(StoredBlocks, ConfigIsWhatTransformersWrites) {
    for (const auto& [variant, compute] :
         {std::pair("nf4_nested", DType::BF16), std::pair("fp4_nested", DType::F32), std::pair("fp4", DType::F32)}) {
        const ModelConfig model = load_model_config(kGolden / variant);
        const auto found = quantization_config_json(*model.quantization, compute, model);
        EXPECT_EQ(found, model.source->at("quantization_config")) << variant;
    }
    // A name that transformers takes for less than tandem does: every layer by its path.
    ModelConfig model = load_model_config(kGolden / "nf4");
    model.quantization->skip_modules = {"self_attn"};
    const auto skipped = quantization_config_json(*model.quantization, DType::F32, model).at("llm_int8_skip_modules");
    const std::string attention = "model.layers.0.self_attn.";
    EXPECT_EQ(skipped, Json({attention + "q_proj", attention + "k_proj", attention + "v_proj", attention + "o_proj", "lm_head"}));
}

TEST(StoredBlocks, WithoutWeightsTheConfigAloneDecides) {
    const TempDir dir;
    copy_to(kGolden / "fp4_nested" / "config.json", dir / "config.json");
    const auto spec = *load_model_config(dir.path()).quantization;
    EXPECT_EQ(spec.block_size, 64);
    EXPECT_EQ(spec.skip_modules, (std::vector<std::string>{"o_proj", "lm_head"}));
    EXPECT_FALSE(spec.covers("model.layers.7.self_attn.o_proj"));
}

/// The files are right where the two differ: o_proj is dense there.
TEST(StoredBlocks, FilesDecideWhichLayersAre) {
    const TempDir dir;
    copy_to(kGolden / "nf4" / "config.json", dir / "config.json");
    copy_to(kGolden / "fp4_nested" / "model.safetensors", dir / "model.safetensors");
    const ModelConfig model = load_model_config(dir.path());
    EXPECT_EQ(model.quantization->type, FourBit::FP4);
    EXPECT_TRUE(model.quantization->double_quant);
    EXPECT_EQ(model.quantization->skip_modules, std::vector<std::string>{"model.layers.0.self_attn.o_proj"});

    copy_to(kGolden / "base" / "model.safetensors", dir / "model.safetensors");
    expect_error(Failure::Input, {"config.json", "quantization_config", "none of them"}, [&] { (void)load_model_config(dir.path()); });
}

TEST(StoredBlocks, OtherQuantisationsAreRefused) {
    const Json good = read_json_file(kGolden / "nf4" / "config.json");
    const auto refused = [&](const Json& object, const std::vector<std::string>& parts) {
        Json config = good;
        config["quantization_config"] = object;
        expect_error(Failure::Input, parts, [&] { (void)parse_model_config(config, "some/config.json"); });
    };
    refused({{"quant_method", "gptq"}, {"bits", 4}}, {"some/config.json", "quantization_config.quant_method", "gptq"});
    refused({{"quant_method", "awq"}, {"load_in_4bit", true}}, {"quant_method", "awq"});
    refused({{"quant_method", "bitsandbytes"}, {"load_in_8bit", true}}, {"quantization_config.load_in_8bit", "four bits"});
    refused({{"quant_method", "bitsandbytes"}}, {"load_in_4bit", "null"});
    refused({{"load_in_4bit", true}, {"bnb_4bit_quant_type", "int4"}}, {"bnb_4bit_quant_type", "int4"});
    refused({{"load_in_4bit", true}, {"bnb_4bit_rotation", 7}}, {"bnb_4bit_rotation", "7"});
    refused({{"load_in_4bit", "yes"}}, {"load_in_4bit"});
    refused("nf4", {"quantization_config"});
    Json config = good;
    config["quantization_config"] = {{"load_in_4bit", true}, {"llm_int8_threshold", 6.0}};
    const auto spec = *parse_model_config(config, "c").quantization;
    EXPECT_EQ(spec.type, FourBit::FP4);  // the default of BitsAndBytesConfig
    EXPECT_FALSE(spec.double_quant);
}

TEST(FileSource, GivesBlocksAndTheirValues) {
    const Json variants = read_json_file(kGolden / "expected.json").at("variants");
    for (const auto& [variant, expected] : variants.items()) {
        SCOPED_TRACE(variant);
        const ModelConfig model = load_model_config(kGolden / variant);
        const FileSource source(kGolden / variant);
        const ParamTable table = list_parameters(model, Trained::Nothing, nullptr);
        source.check(table, false);
        EXPECT_TRUE(source.unused(table).empty());
        std::size_t matrices = 0;
        for (const Parameter& p : table) {
            EXPECT_EQ(source.has_blocks(p), expected.at("crc32").contains(p.name)) << p.name;
            if (!source.has_blocks(p)) continue;
            ++matrices;
            std::vector<float> values(static_cast<std::size_t>(p.global.elements()));
            source.read(p, p.box, DType::F32, reinterpret_cast<std::byte*>(values.data()));
            EXPECT_EQ(test::crc32(std::as_bytes(std::span(values))), expected.at("crc32").at(p.name).get<std::uint32_t>()) << p.name;
            std::vector<BFloat16> narrow(values.size()), rounded(values.size());
            source.read(p, p.box, DType::BF16, reinterpret_cast<std::byte*>(narrow.data()));
            convert_elements(DType::F32, values.data(), DType::BF16, rounded.data(), rounded.size());
            EXPECT_TRUE(std::ranges::equal(narrow, rounded, {}, &BFloat16::bits, &BFloat16::bits)) << p.name;
            // The last codes, and their scale.
            std::uint8_t last = 0;
            source.read_codes(p, (p.global.elements() - 1) / 2, {&last, 1});
            const BlockScales scales = source.read_scales(p);
            EXPECT_EQ(scales.double_quantized(), model.quantization->double_quant);
            const auto absmax = scales.double_quantized() ? dequantize_scales(scales) : scales.absmax;
            EXPECT_EQ(four_bit_values(model.quantization->type)[last & 15U] * absmax.back(), values.back()) << p.name;
        }
        EXPECT_EQ(matrices, expected.at("crc32").size());
    }
}

TEST(FileSource, HasOnlyValuesOfADenseModel) {
    const FileSource source(kGolden / "base");
    const ParamTable table = list_parameters(load_model_config(kGolden / "base"), Trained::Nothing, nullptr);
    EXPECT_FALSE(source.has_blocks(table[1]));
    EXPECT_THROW((void)source.read_scales(table[1]), Error);
}

}  // namespace tandem
