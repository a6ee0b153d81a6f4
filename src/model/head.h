// Final norm, vocabulary projection and cross-entropy, fused over chunks of trained positions:
//   h = norm(x);  z = h_trained W^T;  loss = sum_i (logsumexp z_i - z_i,label);  dh = dz W
// Only trained positions are projected, and never more than a chunk of logits exists. The gradient is formed in the same
// pass: losses are sums, so its scale is known beforehand (see ops/cross_entropy.h).
// Under tensor parallelism each rank has some rows of W, the logits of a part of the vocabulary, and three numbers of each row of
// logits are exchanged.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/base/context.h"
#include "parallel/param_table.h"
#include "src/model/batch.h"
#include "src/model/model_config.h"

namespace tandem {

struct Head {
    const Parameter* norm = nullptr;    ///< [hidden]
    const Parameter* weight = nullptr;  ///< [vocabulary, hidden]; the embedding's where the head is tied

    /// Rows of a chunk of logits, `row_bytes` each: 64 MiB, but not fewer than 256, two tiles of a GPU's products. Every chunk goes
    /// through the vocabulary's matrix, and where that is trained through its gradient: 130 rows take as long for it as 256.
    [[nodiscard]] static constexpr std::int64_t chunk_rows(std::int64_t row_bytes) {
        return std::max<std::int64_t>((std::int64_t{64} << 20) / row_bytes, 256);
    }

    /// Adds the loss of the batch's trained positions of x [own rows, hidden] to loss_sum (fp64 [1]; the same on every rank of the group).
    /// With dx [own rows, hidden], overwrites it with d loss / d x and adds to the gradients of what is trained here.
    void loss(Context&, const ModelConfig&, const DeviceBatch& batch, const Tensor& x, const Tensor& loss_sum, const Tensor& dx) const;

    /// logits [n, storage rows of this rank's part of the vocabulary] in the accumulation type, of x [n, hidden].
    void logits(Context&, const ModelConfig&, const Tensor& x, const Tensor& logits) const;

private:
    /// This rank's rows of the vocabulary, without what its storage has besides.
    [[nodiscard]] Tensor rows() const { return weight->weight.rows(0, weight->box.shape[0]); }
    void chunk(Context&, const TensorGroup&, const Tensor& h, const Tensor& targets, const Tensor& loss_sum, const Tensor& dh) const;
};

}  // namespace tandem
