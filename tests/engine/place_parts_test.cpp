// Layers over pipeline ranks: balanced, typed, refused.
#include "src/engine/place_parts.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace tandem::test {
namespace {

using Parts = std::vector<UnitRange>;

ModelConfig model_of(std::int64_t layers, std::int64_t vocabulary = 64) {
    return parse_model_config({{"model_type", "llama"},
                               {"hidden_size", 64},
                               {"num_hidden_layers", layers},
                               {"num_attention_heads", 6},
                               {"num_key_value_heads", 3},
                               {"head_dim", 8},
                               {"intermediate_size", 192},
                               {"vocab_size", vocabulary}},
                              "config.json");
}

/// Configured by `parallel` lines of run.ini, from its fourth on.
struct Case {
    RunConfig config;
    RankLayout layout;
    int chunks = 1;

    explicit Case(const std::string& lines, const std::string& besides = {}) {
        config = parse_run_config("[model]\npath = " TANDEM_SOURCE_DIR "\n[parallel]\n" + lines + besides, "run.ini", {}, Purpose::Plan);
    }
    Case& over(std::int64_t stages, int of_chunks = 1, std::int64_t tensor = 1) {
        layout.pipeline = stages, layout.tensor = tensor, chunks = of_chunks;
        return *this;
    }
    [[nodiscard]] Parts place(const ModelConfig& model) const {
        return place_parts(config, layout, chunks, {.model = model, .trained = Trained::Everything});
    }
    [[nodiscard]] std::string refused(const ModelConfig& model) const {
        try {
            (void)place(model);
        } catch (const Error& error) {
            EXPECT_EQ(error.failure(), Failure::Configuration);
            return error.what();
        }
        return "accepted";
    }
};

}  // namespace

TEST(PlaceParts, BalancesLayersAndHead) {
    EXPECT_EQ(Case("").place(model_of(5)), (Parts{{0, 7}}));
    EXPECT_EQ(Case("").over(2).place(model_of(5)), (Parts{{0, 4}, {4, 7}})) << "a light head";
    EXPECT_EQ(Case("").over(2).place(model_of(5, 4096)), (Parts{{0, 5}, {5, 7}})) << "one that weighs six layers";
    EXPECT_EQ(Case("").over(2, 2).place(model_of(6)), (Parts{{0, 2}, {2, 4}, {4, 6}, {6, 8}}));
}

TEST(PlaceParts, FitsIntoTheMemoryLimitWherePossible) {
    // The head's time gives the first part five layers, beside an embedding of the head's size.
    const ModelConfig model = model_of(6, 6000);
    const auto first = [&](const std::string& limit) {
        return Case("", "[device]\nmemory_limit = " + limit + "\n[data]\nmax_seq_length = 16\n").over(2).place(model).front().count();
    };
    EXPECT_EQ(first("1GB"), 6);
    EXPECT_EQ(first("10MB"), 4);
}

TEST(PlaceParts, TakesWhatWasTyped) {
    EXPECT_EQ(Case("layers = 3,1\npipeline = 2\n").over(2).place(model_of(4)), (Parts{{0, 4}, {4, 6}}));
    EXPECT_EQ(Case("layers = 2,1,1,1\npipeline = 2\nchunks = 2\n").over(2, 2).place(model_of(5)), (Parts{{0, 3}, {3, 4}, {4, 5}, {5, 7}}));
    EXPECT_EQ(Case("layers = 4\n").place(model_of(4)), (Parts{{0, 6}}));
}

TEST(PlaceParts, RefusesWhatDoesNotAddUp) {
    EXPECT_EQ(Case("layers = 20,12\npipeline = 2\n").over(2).refused(model_of(30)),
              "run.ini:4: parallel.layers = 20,12 adds up to 32 layers, but the model has 30");
    EXPECT_EQ(Case("pipeline = 6\n").over(6).refused(model_of(5)),
              "run.ini:4: parallel.pipeline = 6, but the model has 5 layers, and each stage needs one; use at most 5");
    EXPECT_EQ(
        Case("pipeline = 2\nchunks = 4\n").over(2, 4).refused(model_of(5)),
        "run.ini:5: parallel.pipeline x parallel.chunks = 2 x 4 = 8 parts, but the model has 5 layers, and each part needs one; use at "
        "most 2 chunks, or fewer stages");
    EXPECT_EQ(Case("tensor = 2\n").over(1, 1, 2).refused(model_of(5)),
              "run.ini:4: parallel.tensor = 2 does not divide num_key_value_heads 3 of the model; allowed: 1, 3");
    EXPECT_EQ(Case("tensor = 3\n").over(1, 1, 3).refused(model_of(5)), "accepted");
}

}  // namespace tandem::test
