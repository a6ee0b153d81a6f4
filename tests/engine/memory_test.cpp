// All device memory is taken before the first step.
#include <gtest/gtest.h>

#include <numeric>

#include "src/config/load.h"
#include "src/engine/engine.h"
#include "src/engine/evaluation.h"

namespace tandem {
namespace {

/// Counts what is asked of the device.
class CountingBackend final : public DryBackend {
public:
    void* reserve(std::size_t bytes) override {
        ++reservations;
        return DryBackend::reserve(bytes);
    }
    int reservations = 0;
};

/// One sample of `length` tokens, all of them trained.
struct Sample {
    explicit Sample(std::size_t length) : ids(length, 1), positions(length), row_ids(length), cu{0, static_cast<std::int32_t>(length)} {
        std::iota(positions.begin(), positions.end(), 0);
    }
    [[nodiscard]] HostBatch view() const { return {ids, ids, positions, cu, row_ids, static_cast<std::int64_t>(ids.size())}; }
    std::vector<std::int32_t> ids, positions;
    std::vector<std::int64_t> row_ids;
    std::vector<std::int32_t> cu;
};

TEST(EngineMemory, NothingIsReservedByStepsAndAllIsGivenBack) {
    const RunConfig config = parse_run_config(
        "[model]\npath = " TANDEM_SOURCE_DIR "/tests/golden/models/llama_gqa\n[lora]\ndropout = 0.1\n", "test.ini", {}, Purpose::Plan);
    auto backend = std::make_unique<CountingBackend>();
    CountingBackend& counter = *backend;
    Device device;
    device.stream = backend->make_stream();
    device.backend = std::move(backend);
    reserve_up_to(device, std::size_t{1} << 40U);
    const auto model = make_transformer(config, describe_model(config, Trained::Adapter), device, 64);
    const auto group = make_self_communicator();
    Engine engine(config.optimizer, *model, *device.memory, ReductionGroups{*group, *group, *group}, *group, Sharding{},
                  ActivationPolicy::Keep);
    const int before = counter.reservations;
    EXPECT_EQ(before, static_cast<int>(kMemoryKinds));

    const auto used = [&] {
        MemoryBytes bytes{};
        for (std::size_t k = 0; k < kMemoryKinds; ++k) bytes[k] = (*device.memory)[static_cast<MemoryKind>(k)].used();
        return bytes;
    };
    const MemoryBytes at_rest = used();
    for (const std::size_t length : {7U, 64U, 33U}) {
        engine.start();
        for (int m = 0; m < 2; ++m) engine.accumulate(Sample(length).view());
        (void)engine.reduce();
        engine.update(1e-3, 10, 1);
        EvaluationPass pass(*model);
        pass.start();
        pass.add(Sample(length).view());
    }
    EXPECT_EQ(counter.reservations, before);
    EXPECT_EQ(used(), at_rest);
}

}  // namespace
}  // namespace tandem
