#include "src/plan/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "src/engine/engine.h"
#include "src/engine/evaluation.h"

namespace tandem {
namespace {

/// Full rows, every position trained, and as many samples as there could be at most (one a token).
struct FullBatch {
    FullBatch(const RunConfig& config, std::int64_t tokens)
        : n(static_cast<std::size_t>(tokens)),
          zeros(n + 1, 0),
          row_ids(n, 0),
          view{.ids = std::span(zeros).first(n),
               .targets = std::span(zeros).first(n),
               .positions = std::span(zeros).first(n),
               .cu_seqlens = zeros,
               .row_ids = row_ids,
               .max_length = std::min(tokens, config.data.max_seq_length)} {}
    FullBatch(const FullBatch&) = delete;
    FullBatch& operator=(const FullBatch&) = delete;

    std::size_t n;
    std::vector<std::int32_t> zeros;
    std::vector<std::int64_t> row_ids;
    HostBatch view;
};

void plan_step(const PlanSubject& subject, Device& device, DryBackend& backend, Transformer& model, MemoryPlan& plan) {
    DryCommunicator group(0, static_cast<int>(subject.layout.data));
    DryCommunicator one(0, 1);
    Engine engine(subject.config.optimizer, model, *device.memory, {group, one, one}, one,
                  Sharding{.zero = static_cast<int>(subject.config.parallel.zero)}, plan.policy);
    engine.start();
    const auto accumulate = [&](std::int64_t tokens) {
        backend.counts().clear();
        engine.accumulate(FullBatch(subject.config, tokens).view);
    };
    // A library's scratch need not grow with the batch: smaller ones are tried as well.
    const std::int64_t most = largest_micro_batch(subject.config);
    for (std::int64_t tokens = most / 2; tokens > 0; tokens /= 2) accumulate(tokens);
    accumulate(most);
    plan.micro_batch = backend.counts();
    backend.counts().clear();
    engine.reduce();
    (void)engine.gradients_finite();
    engine.update(0, 1, 1);
    plan.update = backend.counts();
    plan.traffic = group.traffic();
}

}  // namespace

std::int64_t largest_micro_batch(const RunConfig& config) { return config.training.micro_batch_size * config.data.max_seq_length; }

MemoryPlan plan_memory(const PlanSubject& subject, ActivationPolicy policy) {
    const RunConfig& config = subject.config;
    DryDevice dry = make_dry_device(config, subject.threads);
    const Trained trained = subject.purpose != Purpose::Train    ? Trained::Nothing
                            : config.method.type == Method::Full ? Trained::Everything
                                                                 : Trained::Adapter;
    const auto model = make_transformer(config, describe_model(config, trained), dry.device, config.data.max_seq_length);
    MemoryPlan plan;
    plan.policy = policy;
    for (const Parameter& p : model->parameters()) {
        plan.parameters += p.global.elements();
        if (p.trainable) plan.trainable += p.global.elements();
    }
    {
        EvaluationPass pass(*model);
        pass.start();
        for (std::int64_t tokens = largest_micro_batch(config); tokens > 0; tokens /= 2) pass.add(FullBatch(config, tokens).view);
    }
    if (subject.purpose == Purpose::Train) plan_step(subject, dry.device, *dry.backend, *model, plan);
    plan.bytes = dry.device.memory->peaks();
    plan.largest = static_cast<MemoryKind>(std::max_element(plan.bytes.begin(), plan.bytes.end()) - plan.bytes.begin());
    return plan;
}

}  // namespace tandem
