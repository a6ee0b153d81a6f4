// Sums of losses without gradients: what validation is made of.
#pragma once

#include "parallel/executor.h"
#include "parallel/stage.h"
#include "src/model/transformer.h"

namespace tandem {

/// One rank's part of the model, forward only: nothing is kept for a backward.
class EvaluationStage final : public Stage {
public:
    /// `chunks`: units of each chunk of this rank. Temporary tensors come from MemoryKind::Activations.
    EvaluationStage(Transformer& model, std::vector<UnitRange> chunks);

    void start(std::span<const HostBatch> micro_batches);
    /// Token losses added since the last call of clear(), on ranks that hold the head; 0 elsewhere. Waits for the device.
    [[nodiscard]] double sum();
    void clear();

    Tensor forward_input(const Instruction&) override;
    Tensor forward_output(const Instruction&) override { return x_; }
    void forward(const Instruction&) override;

    // Not in a program without backward.
    Tensor output_gradient(const Instruction& in) override { refuse(in.op); }
    Tensor input_gradient(const Instruction& in) override { refuse(in.op); }
    void recompute(const Instruction& in) override { refuse(in.op); }
    void backward(const Instruction& in) override { refuse(in.op); }
    void backward_input(const Instruction& in) override { refuse(in.op); }
    void backward_weight(const Instruction& in) override { refuse(in.op); }
    void reduce(int) override { refuse(Op::Reduce); }
    void clip() override { refuse(Op::Clip); }
    void update(int) override { refuse(Op::Update); }
    void gather(int) override { refuse(Op::Gather); }

private:
    [[noreturn]] static void refuse(Op op);
    void open(const Instruction& in);

    Transformer& model_;
    std::vector<UnitRange> chunks_;
    ArenaScope scope_;
    Tensor loss_sum_;  ///< fp64 [1]
    std::size_t base_;
    std::span<const HostBatch> batches_;
    std::optional<DeviceBatch> batch_;  ///< absent: the micro-batch is empty
    Tensor x_, y_;
};

}  // namespace tandem
