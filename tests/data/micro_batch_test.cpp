// Rows of a token file side by side: labels, positions and boundaries, the same whatever the layout.
#include "src/data/micro_batch.h"

#include <set>

#include "tests/data/data_test_files.h"

namespace tandem {
namespace {

using test::Directory;
using test::many_samples;
using test::tokens;

TEST(MicroBatch, ShiftsLabelsWithinSamplesOnly) {
    const Directory directory;
    const auto file =
        directory.write("a.jsonl", tokens({5, 6, 7}) + R"({"input_ids": [1, 2, 3, 4], "labels": [1, -100, 9, 4]})" + "\n" + tokens({8, 9}));
    const auto prepared = prepare(test::settings_for(directory, {file}), nullptr, nullptr);
    const std::vector<Row> rows = {{0, {1, 0}}, {0, {2}}};
    const auto batch = assemble(prepared.file, rows);
    EXPECT_EQ(batch.ids, (std::vector<std::int32_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
    EXPECT_EQ(batch.labels, (std::vector<std::int32_t>{-100, 9, 4, -100, 6, 7, -100, 9, -100}));
    EXPECT_EQ(batch.positions, (std::vector<std::int32_t>{0, 1, 2, 3, 0, 1, 2, 0, 1}));
    EXPECT_EQ(batch.cu_seqlens, (std::vector<std::int32_t>{0, 4, 7, 9}));
    EXPECT_EQ(batch.row_ids, (std::vector<std::int64_t>{3, 4, 5, 6, 0, 1, 2, 7, 8}));
    EXPECT_EQ(batch.tokens, 9);
    EXPECT_EQ(batch.trained, 5);
    EXPECT_EQ(batch.max_length, 4);

    const std::vector<Row> next_epoch = {{1, {0}}};
    EXPECT_EQ(assemble(prepared.file, next_epoch).row_ids, (std::vector<std::int64_t>{9, 10, 11}));
    const auto none = assemble(prepared.file, {});
    EXPECT_EQ(none.tokens, 0);
    EXPECT_EQ(none.cu_seqlens, std::vector<std::int32_t>{0});
}

/// (input, target) pairs of a step over all ranks, in any order: what the loss is a sum over.
std::multiset<std::vector<std::int64_t>> targets(const TokenFile& file, const BatchPlan& plan, std::int64_t step, std::int64_t ranks,
                                                 std::int64_t micro) {
    std::multiset<std::vector<std::int64_t>> all;
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
        for (const auto& rows : plan.deal(step, ranks, rank, micro)) {
            const auto batch = assemble(file, rows);
            for (std::size_t i = 0; i < batch.ids.size(); ++i)
                all.insert({batch.row_ids[i], batch.positions[i], batch.ids[i], batch.labels[i]});
        }
    }
    return all;
}

TEST(MicroBatch, TrainsTheSameWhateverTheLayout) {
    const Directory directory;
    const auto prepared = prepare(test::settings_for(directory, {directory.write("a.jsonl", many_samples(150))}), nullptr, nullptr);
    const BatchPlan plan({.seed = 3, .max_seq_length = 8}, prepared.file.lengths(), prepared.file.trained(), 8);
    for (std::int64_t step = 1; step <= plan.total_steps(2); ++step) {
        const auto expected = targets(prepared.file, plan, step, 1, 1);
        std::int64_t trained = 0;
        for (const auto& token : expected) trained += token[3] != -100;
        EXPECT_EQ(trained, plan.trained_tokens(step));
        EXPECT_EQ(static_cast<std::int64_t>(expected.size()), plan.tokens(step));
        for (const std::int64_t ranks : {2, 3, 4, 8}) {
            for (const std::int64_t micro : {1, 2, 4}) EXPECT_EQ(targets(prepared.file, plan, step, ranks, micro), expected);
        }
    }
}

}  // namespace
}  // namespace tandem
