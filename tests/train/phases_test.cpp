// What the watchdog is told: long pieces of work say in which phase they are, mark their progress, and leave the phase as they found it.
#include <gtest/gtest.h>

#include <vector>

#include "parallel/whereabouts.h"
#include "src/train/checkpoint.h"
#include "src/train/data_source.h"
#include "src/train/result.h"
#include "tests/engine/tiny_state.h"
#include "tests/support/delayed_communicator.h"
#include "tests/train/temporary_directory.h"

namespace tandem::test {
namespace {

/// One rank's group that notes where the rank is whenever it talks to the others.
class Witness final : public DelayedCommunicator {
public:
    Witness() : DelayedCommunicator(make_self_communicator(), {.longest = std::chrono::microseconds(1)}) {}
    void sum(std::span<std::int64_t> values) override {
        note();
        DelayedCommunicator::sum(values);
    }
    void broadcast(std::string& text, int root) override {
        note();
        DelayedCommunicator::broadcast(text, root);
    }
    std::vector<std::string> gather(const std::string& text) override {
        note();
        return DelayedCommunicator::gather(text);
    }
    std::vector<Whereabout> seen;

private:
    void note() { seen.push_back(Whereabouts::here().look()); }
};

void expect_seen(Phase phase, const std::function<void(Communicator&)>& work) {
    const InPhase training(Phase::Training);
    Witness witness;
    work(witness);
    ASSERT_GE(witness.seen.size(), 1U);
    for (const Whereabout& seen : witness.seen) EXPECT_EQ(to_text(seen.position), to_text({.phase = phase}));
    EXPECT_GT(Whereabouts::here().look().since, witness.seen.back().since) << "training goes on from now";
    EXPECT_EQ(Whereabouts::here().look().position.phase, Phase::Training);
}

TEST(Phases, CheckpointsAndResults) {
    const TemporaryDirectory dir;
    TinyState t;
    expect_seen(Phase::Saving, [&](Communicator& world) {
        CheckpointStore(dir.path(), 2).save(t.ctx, world, *t.state, t.table, {7, 42, 1, "base", "data", {}});
        const auto& seen = dynamic_cast<Witness&>(world).seen;
        EXPECT_GT(seen.back().since, seen.front().since) << "tensors that are written are progress";
    });
    expect_seen(Phase::Resuming, [&](Communicator& world) {
        std::vector<std::string> notes;
        EXPECT_TRUE(CheckpointStore(dir.path(), 2).newest(world, notes));
        dynamic_cast<Witness&>(world).seen.erase(dynamic_cast<Witness&>(world).seen.begin());  // the list of files
    });
    expect_seen(Phase::Resuming,
                [&](Communicator& world) { (void)load_checkpoint(t.ctx, world, *t.state, t.table, dir.path() / "step-7.h5", "base"); });
    expect_seen(Phase::Exporting, [&](Communicator& world) {
        write_result(world, trained_tensors(t.ctx, *t.state, t.table), {"some/model", R"({"r":4})", DType::BF16}, dir.path() / "adapter");
    });
}

TEST(Phases, PreparedData) {
    const TemporaryDirectory dir;
    RunConfig config;
    config.data.train = {TANDEM_SOURCE_DIR "/tests/golden/models/llama_gqa/data.jsonl"};
    config.data.format = DataFormat::Tokenized;
    config.output.dir = dir.path().string();
    expect_seen(Phase::Preparing, [&](Communicator& world) { (void)open_training_data(config, {}, 1 << 20, 1, world); });
}

}  // namespace
}  // namespace tandem::test
