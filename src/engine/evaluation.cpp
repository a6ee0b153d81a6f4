#include "src/engine/evaluation.h"

#include "kernels/base/backend.h"
#include "kernels/ops/elementwise.h"

namespace tandem {

EvaluationPass::EvaluationPass(Transformer& model)
    : model_(model),
      scope_(model.memory()[MemoryKind::Activations]),
      loss_sum_(model.memory()[MemoryKind::Activations].allocate("loss", DType::F64, {1})) {}

void EvaluationPass::start() {
    Context ctx = model_.context();
    ops::zero(ctx, loss_sum_);
}

double EvaluationPass::sum() {
    Context ctx = model_.context();
    double value = 0;
    ctx.backend.copy_to_host(ctx.stream, loss_sum_, &value);
    ctx.stream.synchronize();
    return value;
}

}  // namespace tandem
