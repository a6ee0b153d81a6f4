// Steps of random pipelines under random delays before every operation between ranks, for a while: whoever comes first, the result is
// that of the plain loop. --gtest_random_seed=N (1 to 99999) draws other ones; a failure names its case.
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "tests/parallel/pipeline_test.h"
#include "tests/support/delayed_communicator.h"

namespace {

using namespace tandem;

class SoakTest : public test::PipelineTest {};

TEST_F(SoakTest, RandomPipelinesUnderRandomDelays) {
    // Without the flag the time, and so each rank's own.
    std::int64_t seed = test_world().rank() == 0 ? testing::UnitTest::GetInstance()->random_seed() : 0;
    test_world().sum(std::span(&seed, 1));
    std::mt19937_64 random(static_cast<std::uint64_t>(seed));
    const auto below = [&random](int n) { return static_cast<int>(random() % static_cast<std::uint64_t>(n)); };
    const int ranks = test_world().size();
    const auto start = std::chrono::steady_clock::now();
    int cases = 0;
    for (std::int64_t late = 0; late == 0; ++cases) {
        SCOPED_TRACE(fmt::format("case {} of seed {}", cases, seed));
        test::DelayedCommunicator world(test_world(), {.seed = random()});
        const int data = ranks % 2 == 0 && below(3) == 0 ? 2 : 1;
        Mesh mesh(world, {.data = data, .tensor = 1, .pipeline = ranks / data});
        const auto list = schedules(mesh.sizes().pipeline);
        const auto [schedule, chunks] = list[static_cast<std::size_t>(below(static_cast<int>(list.size())))];
        const PipelineShape shape{mesh.sizes().pipeline, chunks, 1 + below(9)};
        auto lowering = everything_trained(shape);
        lowering.recompute = below(2) == 1;
        lowering.frozen_base = below(3) == 0;
        lowering.hoisted_units = below(4);
        lowering.deferred_units = below(3);
        if (below(2) == 1) tie(lowering);
        if (below(3) == 0) train_from(lowering, below(lowering.units()));
        const bool defers = !lowering.frozen_base && (schedule == Schedule::ZbH1 || lowering.deferred_units > 0);
        if (!defers && below(2) == 1) lowering.reduction = ReduceMoment::Each;
        expect_equal(mesh, schedule, shape, lowering);
        late = std::chrono::steady_clock::now() - start > std::chrono::seconds(10) || HasFailure() ? 1 : 0;
        test_world().max(std::span(&late, 1));
    }
    if (test_world().rank() == 0) fmt::print("{} cases of seed {}\n", cases, seed);
}

}  // namespace
