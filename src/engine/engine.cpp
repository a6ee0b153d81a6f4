#include "src/engine/engine.h"

#include <array>

#include "kernels/base/backend.h"
#include "kernels/ops/elementwise.h"

namespace tandem {

Engine::Engine(const OptimizerSection& settings, Transformer& model, DeviceMemory& memory, ReductionGroups groups, Communicator& world,
               Sharding sharding, ActivationPolicy policy)
    : model_(model),
      data_(groups.data),
      policy_(policy),
      buckets_(model.parameters(), groups, memory, accumulation_type(model.dtype()), sharding),
      optimizer_(settings, buckets_, model.parameters(), world, model.context(), memory),
      state_(model.parameters(), buckets_, optimizer_),
      loss_sum_(memory[MemoryKind::Optimizer].allocate("loss", DType::F64, {1})) {}

void Engine::start() {
    Context ctx = model_.context();
    buckets_.zero(ctx);
    ops::zero(ctx, loss_sum_);
}

double Engine::reduce() {
    Context ctx = model_.context();
    for (std::size_t b = 0; b < buckets_.size(); ++b) buckets_.notify_ready(ctx, b);
    buckets_.add_replicas(ctx);
    std::array<double, 1> sum{};
    ctx.backend.copy_to_host(ctx.stream, loss_sum_, sum.data());
    ctx.stream.synchronize();
    data_.sum(sum);
    return sum[0];
}

bool Engine::gradients_finite() {
    Context ctx = model_.context();
    optimizer_.measure(ctx);
    return optimizer_.gradients_finite(ctx);
}

std::string Engine::first_non_finite() {
    Context ctx = model_.context();
    return optimizer_.first_non_finite(ctx);
}

double Engine::update(double learning_rate, std::int64_t tokens, std::int64_t step) {
    Context ctx = model_.context();
    optimizer_.clip(ctx, tokens);
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
        optimizer_.update(ctx, b, learning_rate, step);
        buckets_.gather(ctx, b);
    }
    return optimizer_.norm(ctx);
}

}  // namespace tandem
