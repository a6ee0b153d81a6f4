// Sums of losses without gradients: what validation is made of.
#pragma once

#include "src/model/transformer.h"

namespace tandem {

class EvaluationPass {
public:
    explicit EvaluationPass(Transformer& model);

    /// The sum to zero.
    void start();
    void add(const HostBatch& batch) { model_.evaluate(batch, loss_sum_); }
    /// Token losses added since start(); waits for the device.
    [[nodiscard]] double sum();

private:
    Transformer& model_;
    ArenaScope scope_;
    Tensor loss_sum_;  ///< fp64 [1]
};

}  // namespace tandem
