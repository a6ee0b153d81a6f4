// What an adapter says of the base it was trained over.
#include "src/model/adapter_base.h"

#include <gtest/gtest.h>

#include "src/io/safetensors_writer.h"
#include "tests/io/temp_dir.h"

namespace tandem {
namespace {

const std::filesystem::path kBase = TANDEM_SOURCE_DIR "/tests/golden/quantized/base";

void write_factors(const std::filesystem::path& directory, const SafetensorsMetadata& metadata) {
    SafetensorsWriter writer(directory / "adapter_model.safetensors", {{"a", DType::F32, {1}}}, metadata);
    const float value = 1;
    writer.write("a", std::as_bytes(std::span(&value, 1)));
    writer.commit();
}

}  // namespace

TEST(AdapterBase, IsReadAsItWasWritten) {
    const TempDir dir;
    const ModelConfig model = load_model_config(kBase);
    const QuantizationSpec spec{.type = FourBit::FP4,
                                .block_size = 128,
                                .double_quant = false,
                                .skip_modules = {"lm_head", "down_proj", "vision_tower"},
                                .stored = true};
    write_factors(dir.path(), {{"format", "pt"}, {kAdapterBaseKey, adapter_base_text(spec, model)}});
    const auto found = recorded_base(dir.path());
    ASSERT_TRUE(found);
    EXPECT_EQ(found->skip_modules, std::vector<std::string>{"down_proj"});  // the others name no linear layer of the model
    EXPECT_FALSE(found->stored);
    EXPECT_TRUE(same_blocks(model, *found, spec));
    write_factors(dir.path(), {{"format", "pt"}});
    EXPECT_FALSE(recorded_base(dir.path()));
}

TEST(AdapterBase, BlocksAreTheSameByWhatTheyCover) {
    const ModelConfig model = load_model_config(kBase);
    const QuantizationSpec one{.skip_modules = {"mlp"}}, same{.skip_modules = {"gate_proj", "up_proj", "model.layers.0.mlp.down_proj"}};
    EXPECT_TRUE(same_blocks(model, one, same));
    EXPECT_FALSE(same_blocks(model, one, {}));
    EXPECT_FALSE(same_blocks(model, {}, {.type = FourBit::FP4}));
    EXPECT_FALSE(same_blocks(model, {}, {.block_size = 128}));
    EXPECT_FALSE(same_blocks(model, {}, {.double_quant = false}));
}

TEST(AdapterBase, RefusesWhatIsNotOne) {
    const TempDir dir;
    for (const auto& [text, part] :
         {std::pair("{", "JSON"), std::pair("{}", "type"), std::pair(R"({"type": "int4", "block_size": 64, "double_quant": true})", "int4"),
          std::pair(R"({"type": "nf4", "block_size": 48, "double_quant": true})", "48"),
          std::pair(R"({"type": "nf4", "block_size": 64, "double_quant": 1})", "double_quant")}) {
        write_factors(dir.path(), {{kAdapterBaseKey, text}});
        expect_error(Failure::Input, {"adapter_model.safetensors", kAdapterBaseKey, part}, [&] { (void)recorded_base(dir.path()); });
    }
}

}  // namespace tandem
