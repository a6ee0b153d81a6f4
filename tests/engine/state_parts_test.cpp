// What is kept of a parameter, and which slices of it consist of whole blocks of 256.
#include "src/engine/state_parts.h"

#include <gtest/gtest.h>

#include "src/config/load.h"
#include "src/config/option_builder.h"
#include "src/engine/whole_blocks.h"

namespace tandem::test {
namespace {

using enum OptimizerName;

Parameter parameter(const Shape& global, const Box& box) {
    Parameter p;
    p.name = "w";
    p.global = global;
    p.box = box;
    p.storage = box.shape;
    p.trainable = true;
    return p;
}

TEST(StateParts, OptimizersAreNamedAsTheOptionIs) {
    for (const OptimizerName optimizer : {AdamW, AdamW8bit, PagedAdamW8bit, Sgd}) {
        RunConfig config;
        config.optimizer.name = optimizer;
        EXPECT_EQ(find_option("optimizer.name")->get(config), std::string(name(optimizer)));
    }
}

TEST(StateParts, MomentsAreInEightBitsFrom4096ElementsOfTheWholeTensorOn) {
    const Parameter small = parameter({4095}, {{0}, {4095}}), large = parameter({64, 64}, {{0, 0}, {16, 64}});
    EXPECT_EQ(parts_of(AdamW8bit, small), parts_of(AdamW, small));
    EXPECT_EQ(parts_of(AdamW8bit, large).size(), 5U);
    EXPECT_EQ(parts_of(PagedAdamW8bit, large), parts_of(AdamW8bit, large));
    EXPECT_EQ(parts_of(AdamW, large).size(), 3U);
    EXPECT_EQ(parts_of(Sgd, large).size(), 1U);
    EXPECT_EQ(moment_bytes(AdamW8bit, large, DType::F32), 2 + 8.0 / 256);
    EXPECT_EQ(moment_bytes(PagedAdamW8bit, large, DType::F32), 0);
    EXPECT_EQ(moment_bytes(PagedAdamW8bit, small, DType::F32), 8);
    EXPECT_EQ(moment_bytes(AdamW, large, DType::F64), 16);
    EXPECT_EQ(moment_bytes(Sgd, large, DType::F32), 0);
}

TEST(StateParts, AbsmaxHasRowsWhereBlocksDo) {
    const Parameter rows = parameter({6, 1024}, {{2, 256}, {4, 512}}), flat = parameter({99, 64}, {{96, 0}, {3, 64}}),
                    vector = parameter({5000}, {{0}, {5000}});
    EXPECT_EQ(shape_of(StatePart::FirstAbsmax, rows), (Shape{6, 4}));
    EXPECT_EQ(box_of(StatePart::SecondAbsmax, rows), (Box{{2, 1}, {4, 2}}));
    EXPECT_EQ(shape_of(StatePart::FirstAbsmax, flat), (Shape{25}));
    EXPECT_EQ(box_of(StatePart::FirstAbsmax, flat), (Box{{24}, {1}}));
    EXPECT_EQ(shape_of(StatePart::FirstAbsmax, vector), (Shape{20}));
    EXPECT_EQ(box_of(StatePart::FirstCodes, rows), rows.box);
    EXPECT_EQ(type_of(StatePart::FirstCodes, DType::F32), DType::U8);
}

TEST(StateParts, SlicesThatCutBlocks) {
    const Shape rows = {96, 64}, columns = {8, 1024}, odd = {8, 1152};
    EXPECT_TRUE(whole_blocks(parameter(rows, {{48, 0}, {48, 64}})));
    EXPECT_TRUE(whole_blocks(parameter({95, 64}, {{48, 0}, {47, 64}}))) << "the last rank's end is the tensor's";
    EXPECT_FALSE(whole_blocks(parameter({95, 64}, {{0, 0}, {47, 64}})));
    EXPECT_FALSE(whole_blocks(parameter(rows, {{2, 0}, {4, 64}})));
    EXPECT_TRUE(whole_blocks(parameter(rows, {{96, 0}, {0, 64}}))) << "a rank without a row of the vocabulary";
    EXPECT_TRUE(whole_blocks(parameter(columns, {{0, 256}, {8, 256}})));
    EXPECT_FALSE(whole_blocks(parameter(columns, {{0, 128}, {8, 256}})));
    EXPECT_FALSE(whole_blocks(parameter(columns, {{0, 0}, {8, 128}})));
    EXPECT_FALSE(whole_blocks(parameter(odd, {{0, 0}, {8, 256}}))) << "blocks run over the ends of rows";
    EXPECT_TRUE(whole_blocks(parameter({5000}, {{0}, {5000}})));
    EXPECT_FALSE(whole_blocks(parameter({5000}, {{2500}, {2500}})));
}

/// llama_gqa: hidden 32, 160 ids; the embedding and the head alone have 4096 elements.
std::string refusal(const std::string& lines, std::int64_t tensor, std::int64_t vocabulary = 160) {
    const RunConfig config = parse_run_config("[model]\npath = " TANDEM_SOURCE_DIR "\n[optimizer]\n" + lines, "run.ini", {}, Purpose::Plan);
    const ModelConfig model = parse_model_config({{"model_type", "llama"},
                                                  {"hidden_size", 32},
                                                  {"num_hidden_layers", 2},
                                                  {"num_attention_heads", 4},
                                                  {"num_key_value_heads", 4},
                                                  {"intermediate_size", 80},
                                                  {"rms_norm_eps", 1e-5},
                                                  {"vocab_size", vocabulary}},
                                                 "config.json");
    RankLayout layout;
    layout.tensor = tensor;
    try {
        check_whole_blocks(config, layout, {.model = model, .trained = Trained::Everything});
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::Configuration);
        return error.what();
    }
    return "";
}

TEST(WholeBlocks, ASplitThatCutsThemIsRefusedWithWhatDoesNot) {
    EXPECT_EQ(refusal("name = adamw_8bit\n", 2), "");
    EXPECT_EQ(refusal("name = adamw\n", 2, 150), "");
    const std::string message = refusal("name = paged_adamw_8bit\n", 2, 150);
    for (const char* word : {"run.ini:4: optimizer.name = paged_adamw_8bit", "parallel.tensor = 2 cuts",
                             "rank 0 has rows 0 to 74 of 'model.embed_tokens.weight' [150, 32]", "use optimizer.name = adamw",
                             "with paged_adamw_8bit parallel.tensor = 1"})
        EXPECT_NE(message.find(word), std::string::npos) << word << " in: " << message;
    EXPECT_NE(refusal("name = adamw_8bit\n", 2, 158).find("parallel.tensor = 1 or 4"), std::string::npos);
    EXPECT_EQ(refusal("name = adamw_8bit\n", 4, 158), "");
}

}  // namespace
}  // namespace tandem::test
