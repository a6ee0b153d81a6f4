#include "src/engine/evaluation.h"

#include <utility>

#include "kernels/base/backend.h"
#include "kernels/ops/elementwise.h"

namespace tandem {

EvaluationStage::EvaluationStage(Transformer& model, std::vector<UnitRange> chunks)
    : model_(model),
      chunks_(std::move(chunks)),
      scope_(model.memory()[MemoryKind::Activations]),
      loss_sum_(model.memory()[MemoryKind::Activations].allocate("loss", DType::F64, {1})),
      base_(model.memory()[MemoryKind::Activations].mark()) {
    clear();
}

void EvaluationStage::refuse(Op op) { fail(Failure::Run, "{} in a program that only evaluates", name(op)); }

void EvaluationStage::start(std::span<const HostBatch> micro_batches) { batches_ = micro_batches; }

void EvaluationStage::clear() {
    Context ctx = model_.context();
    ops::zero(ctx, loss_sum_);
}

double EvaluationStage::sum() {
    Context ctx = model_.context();
    double value = 0;
    ctx.backend.copy_to_host(ctx.stream, loss_sum_, &value);
    ctx.stream.synchronize();
    return value;
}

void EvaluationStage::open(const Instruction& in) {
    Arena& arena = model_.memory()[MemoryKind::Activations];
    arena.release(base_);
    const HostBatch& host = batches_[static_cast<std::size_t>(in.micro_batch)];
    batch_.reset();
    if (!host.ids.empty()) batch_.emplace(model_.upload(host, arena, Transformer::Dropout::Off));
    const Shape shape{batch_ ? batch_->own_rows() : 0, model_.config().hidden};
    x_ = arena.allocate("x", model_.dtype(), shape);
    y_ = arena.allocate("y", model_.dtype(), shape);
}

Tensor EvaluationStage::forward_input(const Instruction& in) {
    open(in);
    return x_;
}

void EvaluationStage::forward(const Instruction& in) {
    const UnitRange range = chunks_.at(static_cast<std::size_t>(in.chunk));
    if (range.first == 0) open(in);
    if (!batch_) return;
    Context ctx = model_.context();
    Arena& arena = model_.memory()[MemoryKind::Activations];
    for (int unit = range.first; unit < range.last; ++unit) {
        if (unit == 0) {
            model_.embed(*batch_, x_);
        } else if (unit == model_.head_unit()) {
            model_.head().loss(ctx, model_.config(), *batch_, x_, loss_sum_, Tensor());
        } else {
            ArenaScope layer(arena);
            model_.block(unit).forward(ctx, model_.local(), batch_->view, arena, x_, y_);
            std::swap(x_, y_);
        }
    }
}

}  // namespace tandem
