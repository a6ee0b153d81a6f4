// One rank's part of the model as the executor drives it, with the activations of every micro-batch in flight.
//
// Memory: a slot for each micro-batch of a chunk in flight holds the batch, the units' inputs and, unless they are recomputed, the
// activations; it is filled from Forward and left when the micro-batch's last instruction is over. What lives within one backward
// (recomputed activations, the gradient that is passed down) is a stack in MemoryKind::Activations above the slots.
#pragma once

#include <memory>
#include <optional>
#include <set>

#include "parallel/gradient_buckets.h"
#include "parallel/stage.h"
#include "src/engine/optimizer.h"
#include "src/engine/split.h"
#include "src/model/transformer.h"

namespace tandem {

struct StageSettings {
    ActivationPolicy policy = ActivationPolicy::Keep;
    std::vector<UnitRange> chunks;  ///< units of each chunk of this rank
    int lowest_trained = 0;         ///< unit; nothing below it needs a gradient
    std::set<int> split_units;      ///< units whose weight gradients are instructions of their own
    SlotPlan slots;
};

class ModelStage final : public Stage {
public:
    ModelStage(Transformer& model, StageSettings settings, GradientBuckets& buckets, Optimizer& optimizer);

    /// The micro-batches of a step, which must stay until it is done; their losses are added to loss_sum (fp64 [1]).
    void start(std::span<const HostBatch> micro_batches, const Tensor& loss_sum);
    /// What clip() divides by and update() applies: see Optimizer.
    void set_tokens(std::int64_t tokens) { update_.tokens = tokens; }
    void set_update(double learning_rate, std::int64_t step) { update_.learning_rate = learning_rate, update_.step = step; }
    /// High-water mark of the slots of each chunk, bytes.
    [[nodiscard]] std::vector<std::size_t> slot_peaks() const;

    Tensor forward_input(const Instruction&) override;
    Tensor forward_output(const Instruction&) override;
    Tensor output_gradient(const Instruction&) override;
    Tensor input_gradient(const Instruction&) override;
    void forward(const Instruction&) override;
    void recompute(const Instruction&) override;
    void backward(const Instruction&) override;
    void backward_input(const Instruction& in) override { backward(in); }
    void backward_weight(const Instruction&) override;
    void reduce(int bucket) override;
    void clip() override;
    void update(int bucket) override;
    void gather(int bucket) override;

private:
    struct Slot {
        std::unique_ptr<Arena> arena;
        std::optional<DeviceBatch> batch;       ///< absent: the micro-batch is empty
        std::vector<Tensor> inputs;             ///< of each unit of the chunk, and the output
        std::vector<Block::Saved> saved;        ///< of each unit of the chunk
        std::vector<Block::Deferred> deferred;  ///< likewise
        /// Likewise: the stack before and after a unit was recomputed, so that its backward gives that back if nothing lies above.
        std::vector<std::pair<std::size_t, std::size_t>> stacked;
        Tensor gradient;  ///< of the output at first, of a unit's input after its backward
    };
    struct Update {
        double learning_rate = 0;
        std::int64_t tokens = 1, step = 1;
    };
    [[nodiscard]] UnitRange units(const Instruction& in) const { return settings_.chunks[static_cast<std::size_t>(in.chunk)]; }
    [[nodiscard]] bool is_layer(int unit) const { return unit > 0 && unit < model_.head_unit(); }
    Slot& slot(const Instruction& in);
    Slot& open(const Instruction& in);
    Tensor activation(Arena& arena, std::string_view name, const Slot& slot) const;
    void run_layer(Slot& slot, int unit, std::size_t at);
    void backward_unit(Slot& slot, const Instruction& in, int unit);
    /// Gives back what the last backward left on the stack, if it is over.
    void settle();

    Transformer& model_;
    StageSettings settings_;
    GradientBuckets& buckets_;
    Optimizer& optimizer_;
    std::vector<std::vector<Slot>> slots_;  ///< [chunk][slot]
    std::span<const HostBatch> batches_;
    Tensor loss_sum_;
    Update update_;
    std::optional<std::size_t> stack_base_;  ///< mark of the activations arena below the backward that is running
    bool backward_over_ = false;
};

}  // namespace tandem
