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
    const auto group = make_self_communicator();
    const ModelDescription description = describe_model(config, Trained::Adapter);
    const auto model = make_transformer(config, description, device, {whole_model(description.model), *group, 64, 64});
    const Split split = resolve_split(config, {.accumulation = 2}, description);
    const EngineSettings settings{config.optimizer, split, ActivationPolicy::Keep, {{1}, {std::size_t{1} << 24U}}, {}};
    Engine engine(settings, {}, *model, *device.memory, {*group, *group, *group, *group, *group});
    const int before = counter.reservations;
    EXPECT_EQ(before, static_cast<int>(kMemoryKinds));

    const auto used = [&] {
        MemoryBytes bytes{};
        for (std::size_t k = 0; k < kMemoryKinds; ++k) bytes[k] = (*device.memory)[static_cast<MemoryKind>(k)].used();
        return bytes;
    };
    const MemoryBytes at_rest = used();
    for (const std::size_t length : {7U, 64U, 33U}) {
        const Sample sample(length);
        const std::vector<HostBatch> batches(2, sample.view());
        (void)engine.accumulate(batches);
        engine.clip(10);
        engine.update(1e-3, 1);
        EvaluationStage evaluation(*model, split.chunks_of(0));
        Executor executor(*group, {});
        Context ctx = model->context();
        evaluation.start(batches);
        const Program program = evaluation_programs(split, 2).front();
        executor.run(ctx, program, 0, program.size(), evaluation);
    }
    EXPECT_EQ(counter.reservations, before);
    EXPECT_EQ(used(), at_rest);
}

}  // namespace
}  // namespace tandem
