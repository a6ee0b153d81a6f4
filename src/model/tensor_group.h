// The tensor-parallel neighbours of a rank, with sequence parallelism (Korthikanti et al., arXiv 2205.05198): matrices are split over
// the ranks, and between matrices each rank holds its share of the tokens' rows. Two collectives take one form into the other.
#pragma once

#include "kernels/base/context.h"
#include "parallel/communicator.h"

namespace tandem {

class TensorGroup {
public:
    explicit TensorGroup(Communicator& group) : group_(group) {}

    [[nodiscard]] int size() const { return group_.size(); }
    [[nodiscard]] int rank() const { return group_.rank(); }
    [[nodiscard]] bool split() const { return size() > 1; }
    /// Tokens are padded to a multiple of the ranks, so that each holds as many rows.
    [[nodiscard]] std::int64_t padded(std::int64_t tokens) const { return (tokens + size() - 1) / size() * size(); }
    /// This rank's rows of a tensor that has all (padded) tokens'.
    [[nodiscard]] Tensor own_rows(const Tensor& all) const {
        const std::int64_t rows = all.extent(0) / size();
        return all.rows(rank() * rows, (rank() + 1) * rows);
    }

    /// all [n, width] = every rank's rows, in rank order. Contiguous tensors.
    void gather(Context& ctx, const Tensor& own, const Tensor& all) const { group_.all_gather(ctx.stream, own, all); }
    /// own [n / size, width] = this rank's rows of the sum over ranks of `all`, which is clobbered.
    void sum_scatter(Context& ctx, const Tensor& all, const Tensor& own) const { group_.reduce_scatter(ctx.stream, all, own); }

    /// The largest of every rank's values, one by one. On the host.
    void max(std::span<double> values) const { group_.max(values); }

    /// Bytes of buffer that these take on tensors of up to `largest` bytes, and lending it to them; the buffer must outlive this.
    [[nodiscard]] std::size_t buffer_bytes(std::size_t largest) const { return group_.buffer_bytes(largest); }
    void lend(const Tensor& buffer) const { group_.lend(buffer); }

private:
    Communicator& group_;
};

}  // namespace tandem
