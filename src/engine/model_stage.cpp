#include "src/engine/model_stage.h"

#include <algorithm>

#include "kernels/base/backend.h"

namespace tandem {
namespace {

/// A dry run's slots: no limit, what they take is what is asked.
constexpr std::size_t kUnlimited = std::size_t{1} << 46U;

}  // namespace

ModelStage::ModelStage(Transformer& model, StageSettings settings, GradientBuckets& buckets, Optimizer& optimizer)
    : model_(model), settings_(std::move(settings)), buckets_(buckets), optimizer_(optimizer) {
    Arena& arena = model.memory()[MemoryKind::Activations];
    const bool dry = settings_.slots.bytes.empty();
    for (std::size_t c = 0; c < settings_.chunks.size(); ++c) {
        auto& slots = slots_.emplace_back(static_cast<std::size_t>(settings_.slots.count[c]));
        for (Slot& s : slots) {
            const auto units = static_cast<std::size_t>(settings_.chunks[c].count());
            s.inputs.resize(units + 1), s.saved.resize(units), s.deferred.resize(units), s.stacked.resize(units);
            if (dry) {
                s.arena = std::make_unique<Arena>(model.context().backend, MemoryKind::Activations, kUnlimited);
            } else {
                const auto bytes = static_cast<std::int64_t>(settings_.slots.bytes[c]);
                s.arena = std::make_unique<Arena>(MemoryKind::Activations, arena.allocate("slot", DType::U8, {bytes}));
            }
        }
    }
}

std::vector<std::size_t> ModelStage::slot_peaks() const {
    std::vector<std::size_t> peaks;
    for (const auto& slots : slots_) {
        std::size_t peak = 0;
        for (const Slot& s : slots) peak = std::max(peak, s.arena->peak());
        peaks.push_back(peak);
    }
    return peaks;
}

void ModelStage::start(std::span<const HostBatch> micro_batches, const Tensor& loss_sum) {
    batches_ = micro_batches;
    loss_sum_ = loss_sum;
}

ModelStage::Slot& ModelStage::slot(const Instruction& in) {
    return slots_.at(static_cast<std::size_t>(in.chunk)).at(static_cast<std::size_t>(in.slot));
}

Tensor ModelStage::activation(Arena& arena, std::string_view name, const Slot& s) const {
    return arena.allocate(name, model_.dtype(), {s.batch ? s.batch->own_rows() : 0, model_.config().hidden});
}

ModelStage::Slot& ModelStage::open(const Instruction& in) {
    settle();
    Slot& s = slot(in);
    s.arena->release(0);
    s.batch.reset();
    const HostBatch& host = batches_[static_cast<std::size_t>(in.micro_batch)];
    if (!host.ids.empty()) s.batch.emplace(model_.upload(host, *s.arena, Transformer::Dropout::On));
    s.inputs.front() = activation(*s.arena, "x", s);
    return s;
}

Tensor ModelStage::forward_input(const Instruction& in) { return open(in).inputs.front(); }

Tensor ModelStage::forward_output(const Instruction& in) { return slot(in).inputs.back(); }

Tensor ModelStage::output_gradient(const Instruction& in) {
    settle();
    Arena& stack = model_.memory()[MemoryKind::Activations];
    if (!stack_base_) stack_base_ = stack.mark();
    Slot& s = slot(in);
    s.gradient = activation(stack, "dy", s);
    return s.gradient;
}

Tensor ModelStage::input_gradient(const Instruction& in) {
    backward_over_ = true;
    return slot(in).gradient;
}

void ModelStage::settle() {
    if (!backward_over_) return;
    if (stack_base_) model_.memory()[MemoryKind::Activations].release(*stack_base_);
    stack_base_.reset();
    backward_over_ = false;
}

void ModelStage::run_layer(Slot& s, int unit, std::size_t at) {
    Context ctx = model_.context();
    Arena& stack = model_.memory()[MemoryKind::Activations];
    if (settings_.policy == ActivationPolicy::Keep) {
        s.saved[at] = model_.block(unit).forward(ctx, model_.local(), s.batch->view, *s.arena, s.inputs[at], s.inputs[at + 1]);
        return;
    }
    ArenaScope scope(stack);
    model_.block(unit).forward(ctx, model_.local(), s.batch->view, stack, s.inputs[at], s.inputs[at + 1]);
}

void ModelStage::forward(const Instruction& in) {
    const UnitRange range = units(in);
    Slot& s = range.first == 0 ? open(in) : slot(in);
    settle();
    for (int unit = range.first; unit < range.last; ++unit) {
        const auto at = static_cast<std::size_t>(unit - range.first);
        if (unit == model_.head_unit()) {
            s.gradient = activation(*s.arena, "dx", s);
            Context ctx = model_.context();
            if (s.batch) model_.head().loss(ctx, model_.config(), *s.batch, s.inputs[at], loss_sum_, s.gradient);
            continue;
        }
        if (unit == 0) {
            s.inputs[1] = s.inputs[0];
            if (s.batch) model_.embed(*s.batch, s.inputs[1]);
            continue;
        }
        s.inputs[at + 1] = activation(*s.arena, "x", s);
        if (s.batch) run_layer(s, unit, at);
    }
}

void ModelStage::recompute(const Instruction& in) {
    settle();
    Slot& s = slot(in);
    Arena& stack = model_.memory()[MemoryKind::Activations];
    if (!stack_base_) stack_base_ = stack.mark();
    if (!s.batch) return;
    Context ctx = model_.context();
    for (int unit = in.units.first; unit < in.units.last; ++unit) {
        const auto at = static_cast<std::size_t>(unit - units(in).first);
        Arena& arena = settings_.split_units.contains(unit) ? *s.arena : stack;
        const std::size_t before = stack.mark();
        const Tensor y = activation(stack, "recomputed output", s);
        s.saved[at] = model_.block(unit).forward(ctx, model_.local(), s.batch->view, arena, s.inputs[at], y);
        s.stacked[at] = {before, stack.mark()};
    }
}

void ModelStage::backward_unit(Slot& s, const Instruction& in, int unit) {
    if (unit == 0 && model_.embedding().trainable) model_.embed_backward(*s.batch, s.gradient);
    if (!is_layer(unit)) return;  // the head's backward is in its forward
    Context ctx = model_.context();
    const auto at = static_cast<std::size_t>(unit - units(in).first);
    const Block& block = model_.block(unit);
    const bool split = in.op == Op::BackwardInput;
    if (split) s.deferred[at] = block.reserve_deferred(model_.local(), s.batch->view, model_.dtype(), *s.arena);
    block.backward(ctx, model_.local(), s.batch->view, s.saved[at], s.gradient, unit > settings_.lowest_trained,
                   split ? &s.deferred[at] : nullptr);
    Arena& stack = model_.memory()[MemoryKind::Activations];
    if (settings_.policy == ActivationPolicy::Recompute && stack.mark() == s.stacked[at].second) stack.release(s.stacked[at].first);
}

void ModelStage::backward(const Instruction& in) {
    settle();
    Slot& s = slot(in);
    Arena& stack = model_.memory()[MemoryKind::Activations];
    if (!stack_base_) stack_base_ = stack.mark();
    for (int unit = in.units.last; s.batch && unit-- > in.units.first;) backward_unit(s, in, unit);
    const int lowest = std::max(units(in).first, settings_.lowest_trained);
    if (in.units.first <= lowest) backward_over_ = true;
}

void ModelStage::backward_weight(const Instruction& in) {
    settle();
    Slot& s = slot(in);
    if (!s.batch) return;
    Context ctx = model_.context();
    for (int unit = in.units.first; unit < in.units.last; ++unit) {
        if (!is_layer(unit)) continue;
        const auto at = static_cast<std::size_t>(unit - units(in).first);
        model_.block(unit).backward_weight(ctx, model_.local(), s.batch->view, s.saved[at], s.deferred[at]);
    }
}

void ModelStage::reduce(int bucket) {
    Context ctx = model_.context();
    buckets_.notify_ready(ctx, static_cast<std::size_t>(bucket));
}

void ModelStage::clip() {
    Context ctx = model_.context();
    buckets_.add_replicas(ctx);
    optimizer_.measure(ctx);
    optimizer_.clip(ctx, update_.tokens);
}

void ModelStage::update(int bucket) {
    Context ctx = model_.context();
    optimizer_.update(ctx, static_cast<std::size_t>(bucket), update_.learning_rate, update_.step);
}

void ModelStage::gather(int bucket) {
    Context ctx = model_.context();
    buckets_.gather(ctx, static_cast<std::size_t>(bucket));
}

}  // namespace tandem
