#include "src/engine/engine.h"

#include <array>

#include "kernels/base/backend.h"
#include "kernels/ops/elementwise.h"

namespace tandem {

Engine::Engine(const OptimizerSection& settings, Transformer& model, DeviceMemory& memory, Communicator& data, ActivationPolicy policy)
    : model_(model),
      data_(data),
      policy_(policy),
      buckets_(model.parameters(), data, memory, accumulation_type(model.dtype())),
      optimizer_(settings, buckets_, model.parameters(), model.context(), memory),
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
    std::array<double, 1> sum{};
    ctx.backend.copy_to_host(ctx.stream, loss_sum_, sum.data());
    ctx.stream.synchronize();
    data_.sum(sum);
    return sum[0];
}

bool Engine::gradients_finite() {
    Context ctx = model_.context();
    return optimizer_.gradients_finite(ctx);
}

std::string Engine::first_non_finite() {
    Context ctx = model_.context();
    return optimizer_.first_non_finite(ctx);
}

double Engine::update(double learning_rate, std::int64_t tokens, std::int64_t step) {
    Context ctx = model_.context();
    optimizer_.step(ctx, learning_rate, tokens, step);
    return optimizer_.norm(ctx);
}

}  // namespace tandem
