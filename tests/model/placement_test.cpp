// Which part of every parameter a rank holds: that the parts make up the whole, and who adds up and counts what.
#include "src/model/placement.h"

#include <gtest/gtest.h>

#include <map>

#include "src/model/parameters.h"
#include "tests/model/split_cases.h"

namespace tandem::test {
namespace {

/// A model that 1, 2 and 4 tensor-parallel ranks divide but for its vocabulary.
ModelConfig model_of(const std::string& family, bool tied, std::int64_t vocabulary = 30) {
    return parse_model_config({{"model_type", family},
                               {"hidden_size", 16},
                               {"num_hidden_layers", 4},
                               {"num_attention_heads", 8},
                               {"num_key_value_heads", 4},
                               {"head_dim", 2},
                               {"intermediate_size", 24},
                               {"vocab_size", vocabulary},
                               {"tie_word_embeddings", tied},
                               {"attention_bias", family == "llama"},
                               {"mlp_bias", family == "llama"}},
                              "config.json");
}

LoraConfig every_layer() {
    LoraConfig lora;
    lora.r = 3;
    return lora;
}

std::string message_of(const std::function<void()>& call, Failure expected = Failure::Configuration) {
    try {
        call();
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), expected);
        return error.what();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
}

const Parameter& named(const ParamTable& table, const std::string& end) {
    for (const Parameter& p : table)
        if (p.name.ends_with(end)) return p;
    fail(Failure::Run, "no {}", end);
}

/// How often each element of each parameter is held, and how often it is counted in the norm, over the ranks of one data-parallel group.
struct Cover {
    std::vector<int> held, counted;
};
std::map<std::string, Cover> cover(const ModelConfig& model, Trained trained, const LoraConfig* lora, const SplitCase& split) {
    std::map<std::string, Cover> covers;
    for (const Parameter& p : list_parameters(model, trained, lora)) {
        const auto n = static_cast<std::size_t>(p.global.elements());
        covers[p.name] = {std::vector<int>(n), std::vector<int>(n)};
    }
    for (const Placement& placement : split.placements()) {
        for (const Parameter& p : list_parameters(model, trained, lora, placement)) {
            Cover& of = covers.at(p.name);
            const bool matrix = p.global.dims() == 2;
            const std::int64_t columns = matrix ? p.global[1] : 1, width = matrix ? p.box.shape[1] : 1;
            for (std::int64_t i = 0; i < p.box.shape.elements(); ++i) {
                const auto at = (p.box.offset[0] + i / width) * columns + (matrix ? p.box.offset[1] : 0) + i % width;
                ++of.held.at(static_cast<std::size_t>(at));
                of.counted.at(static_cast<std::size_t>(at)) += p.counts_in_norm;
            }
        }
    }
    return covers;
}

/// Copies of a parameter on the ranks of a split, from its flags.
int copies(const Parameter& p, const SplitCase& split) { return (p.sum_over_tensor ? split.tensor : 1) * (p.sum_over_ends ? 2 : 1); }

}  // namespace

TEST(Placement, HoldsTheUnitsOfItsChunks) {
    const Placement p{.chunks = {{0, 2}, {4, 5}}};
    std::string held;
    for (int u = -1; u < 7; ++u) held += p.holds(u) ? '1' : '0';
    EXPECT_EQ(held, "01100100");
    EXPECT_EQ(unit_count(model_of("llama", false)), 6);
    EXPECT_EQ(whole_model(model_of("llama", false)).chunks, (std::vector<UnitRange>{{0, 6}}));
}

TEST(Placement, RowsAreSharedInEqualParts) {
    std::vector<std::int64_t> numbers;
    for (int part = 0; part < 4; ++part) {
        const RowShare share = share_of_rows(31, 4, part);
        for (const std::int64_t n : {share.first, share.count, share.storage}) numbers.push_back(n);
    }
    EXPECT_EQ(numbers, (std::vector<std::int64_t>{0, 8, 8, 8, 8, 8, 16, 8, 8, 24, 7, 8}));
}

TEST(Placement, ElementsAreHeldAndCountedOnce) {
    const LoraConfig lora = every_layer();
    for (const std::string family : {"llama", "qwen3"}) {
        for (const bool tied : {false, true}) {
            const ModelConfig model = model_of(family, tied);
            for (const Trained trained : {Trained::Everything, Trained::Adapter}) {
                const LoraConfig* adapter = trained == Trained::Adapter ? &lora : nullptr;
                for (const SplitCase& split : split_cases(model)) {
                    SCOPED_TRACE(family + (tied ? " tied, " : ", ") + split.name);
                    const auto covers = cover(model, trained, adapter, split);
                    for (const Placement& placement : split.placements()) {
                        for (const Parameter& p : list_parameters(model, trained, adapter, placement)) {
                            const Cover& of = covers.at(p.name);
                            EXPECT_EQ(of.held, std::vector<int>(of.held.size(), copies(p, split))) << p.name;
                            EXPECT_EQ(of.counted, std::vector<int>(of.counted.size(), 1)) << p.name;
                        }
                    }
                    for (const auto& [name, of] : covers) EXPECT_GE(of.held.front(), 1) << name;
                }
            }
        }
    }
}

/// Flat intervals of a bucket mean the same on every tensor-parallel rank, and on both ends of a tied model.
TEST(Placement, StorageIsTheSameOnAllTensorRanks) {
    const LoraConfig lora = every_layer();
    const ModelConfig model = model_of("qwen3", true, 31);
    for (const SplitCase& split : split_cases(model)) {
        SCOPED_TRACE(split.name);
        const auto placements = split.placements();
        for (std::size_t i = 0; i < placements.size(); ++i) {
            const auto first = i - i % static_cast<std::size_t>(split.tensor);
            const ParamTable own = list_parameters(model, Trained::Adapter, &lora, placements[i]);
            const ParamTable other = list_parameters(model, Trained::Adapter, &lora, placements[first]);
            ASSERT_EQ(own.size(), other.size());
            for (std::size_t k = 0; k < own.size(); ++k) {
                EXPECT_EQ(own[k].name, other[k].name);
                EXPECT_EQ(own[k].storage, other[k].storage) << own[k].name;
                EXPECT_EQ(own[k].bucket, other[k].bucket) << own[k].name;
                EXPECT_GE(own[k].storage[0], own[k].box.shape[0]) << own[k].name;
                EXPECT_TRUE(placements[i].holds(own[k].bucket) || own[k].sum_over_ends) << own[k].name;
            }
        }
    }
}

TEST(Placement, ColumnAndRowParallelLayers) {
    const ModelConfig model = model_of("llama", false, 31);
    const LoraConfig lora = every_layer();
    const ParamTable t = list_parameters(model, Trained::Everything, &lora, {.tensor = 4, .tensor_rank = 3, .chunks = {{0, 6}}});
    struct Row {
        std::string name;
        Box box;
        Shape storage;
        bool sum, counts;
    };
    const std::vector<Row> rows = {
        {"embed_tokens.weight", {{24, 0}, {7, 16}}, {8, 16}, false, true},
        {"0.input_layernorm.weight", {{0}, {16}}, {16}, true, false},
        {"0.self_attn.q_proj.weight", {{12, 0}, {4, 16}}, {4, 16}, false, true},
        {"0.self_attn.q_proj.bias", {{12}, {4}}, {4}, false, true},
        {"0.self_attn.q_proj.lora_A.weight", {{0, 0}, {3, 16}}, {3, 16}, true, false},
        {"0.self_attn.q_proj.lora_B.weight", {{12, 0}, {4, 3}}, {4, 3}, false, true},
        {"0.self_attn.v_proj.weight", {{6, 0}, {2, 16}}, {2, 16}, false, true},
        {"0.self_attn.o_proj.weight", {{0, 12}, {16, 4}}, {16, 4}, false, true},
        {"0.self_attn.o_proj.bias", {{0}, {16}}, {16}, true, false},
        {"0.self_attn.o_proj.lora_A.weight", {{0, 12}, {3, 4}}, {3, 4}, false, true},
        {"0.self_attn.o_proj.lora_B.weight", {{0, 0}, {16, 3}}, {16, 3}, true, false},
        {"0.mlp.up_proj.weight", {{18, 0}, {6, 16}}, {6, 16}, false, true},
        {"0.mlp.down_proj.weight", {{0, 18}, {16, 6}}, {16, 6}, false, true},
        {"model.norm.weight", {{0}, {16}}, {16}, true, false},
        {"lm_head.weight", {{24, 0}, {7, 16}}, {8, 16}, false, true},
    };
    for (const Row& row : rows) {
        const Parameter& p = named(t, row.name);
        EXPECT_EQ(p.box, row.box) << row.name << ": " << p.box.offset.str() << " " << p.box.shape.str();
        EXPECT_EQ(p.storage, row.storage) << row.name;
        EXPECT_EQ(p.sum_over_tensor, row.sum) << row.name;
        EXPECT_EQ(p.counts_in_norm, row.counts) << row.name;
    }
    const ParamTable qwen = list_parameters(model_of("qwen3", false), Trained::Everything, nullptr, {.tensor = 2, .chunks = {{0, 6}}});
    EXPECT_TRUE(named(qwen, "0.self_attn.k_norm.weight").sum_over_tensor) << "a rank sees its own heads alone";
}

TEST(Placement, ATiedHeadElsewhereIsACopyOfTheEmbedding) {
    const ModelConfig model = model_of("llama", true);
    const ParamTable first = list_parameters(model, Trained::Everything, nullptr, {.chunks = {{0, 3}}});
    const ParamTable last = list_parameters(model, Trained::Everything, nullptr, {.chunks = {{3, 6}}});
    const Parameter &embedding = named(first, "embed_tokens.weight"), &head = named(last, "embed_tokens.weight");
    EXPECT_TRUE(embedding.sum_over_ends && head.sum_over_ends);
    EXPECT_TRUE(embedding.counts_in_norm && !head.counts_in_norm);
    EXPECT_TRUE(embedding.bucket == 0 && head.bucket == 0);
    const ParamTable both = list_parameters(model, Trained::Everything, nullptr, {.chunks = {{0, 2}, {5, 6}}});
    EXPECT_FALSE(named(both, "embed_tokens.weight").sum_over_ends);
    EXPECT_EQ(std::ranges::count_if(both, [](const Parameter& p) { return p.name.ends_with("embed_tokens.weight"); }), 1);
    const ParamTable middle = list_parameters(model, Trained::Everything, nullptr, {.chunks = {{2, 3}}});
    for (const Parameter& p : middle) EXPECT_EQ(p.bucket, 2) << p.name;
}

TEST(Placement, TargetsAreThoseOfTheWholeModel) {
    LoraConfig lora = every_layer();
    lora.target_modules = {"layers.3.mlp.down_proj"};
    const ParamTable table = list_parameters(model_of("llama", false), Trained::Adapter, &lora, {.chunks = {{0, 2}}});
    EXPECT_EQ(adapted_modules(table), std::vector<std::string>());
    lora.target_modules = {"layers.4.mlp.down_proj"};
    const auto list = [&] { (void)list_parameters(model_of("llama", false), Trained::Adapter, &lora, {.chunks = {{0, 2}}}); };
    EXPECT_NE(message_of(list).find("'layers.4.mlp.down_proj' matches no linear layer"), std::string::npos);
}

TEST(TensorSizes, AreThoseThatDivideTheModel) {
    ModelConfig model = model_of("llama", false);
    EXPECT_EQ(tensor_sizes(model), (std::vector<std::int64_t>{1, 2, 4}));
    model.heads = 6, model.kv_heads = 3;
    EXPECT_EQ(tensor_sizes(model), (std::vector<std::int64_t>{1, 3}));
    EXPECT_EQ(message_of([&] { check_tensor(model, 2, "run.ini:12"); }),
              "run.ini:12: parallel.tensor = 2 does not divide num_key_value_heads 3 of the model; allowed: 1, 3");
    model.ffn = 25;
    EXPECT_EQ(message_of([&] { check_tensor(model, 3, "command line"); }),
              "command line: parallel.tensor = 3 does not divide intermediate_size 25 of the model; allowed: 1");
    EXPECT_NO_THROW(check_tensor(model, 1, "default"));
}

TEST(TensorSizes, LeaveEveryRankARowOfTheVocabulary) {
    // 5 rows in parts of 2: the fourth rank would hold none.
    const ModelConfig model = model_of("llama", false, 5);
    EXPECT_EQ(tensor_sizes(model), (std::vector<std::int64_t>{1, 2}));
    EXPECT_EQ(message_of([&] {
                  (void)list_parameters(model, Trained::Nothing, nullptr, {.tensor = 4, .chunks = {{0, 6}}});
              }),
              "the placement: parallel.tensor = 4 leaves a rank without a row of vocab_size 5 of the model; allowed: 1, 2");
}

}  // namespace tandem::test
