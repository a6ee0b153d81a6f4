// An index outside of the rows, which the host does not see, ends the launch: the next call that asks the device fails, and the device
// is unusable for this process. The cpu's ops, which throw at once, say which index it is.
#include "kernels/ops/embedding.h"

#include <limits>

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/embedding.cuh"
#include "kernels/cuda/operands.h"
#include "kernels/cuda/scratch.h"
#include "kernels/cuda/stream.h"
#include "kernels/cuda/transfer.h"

namespace tandem {

namespace {

void indexed_copy(Context& ctx, std::string_view op, cuda::Route route, const Tensor& from, const Tensor& index, const Tensor& to) {
    const cuda::Bytes source(from), target(to);
    const Tensor& indexed = route == cuda::Route::Scatter ? to : from;
    const cuda::IndexedCopy what{route,
                                 source.base,
                                 static_cast<std::int64_t>(source.stride),
                                 target.base,
                                 static_cast<std::int64_t>(target.stride),
                                 static_cast<std::int64_t>(source.row),
                                 index.data<std::int32_t>(),
                                 index.extent(0),
                                 indexed.extent(0)};
    cuda::check(cuda::launch_indexed_copy(what, cuda::queue(ctx.stream)), op, {from, index, to});
}

}  // namespace

void CudaBackend::embedding(Context& ctx, const Tensor& table, const Tensor& ids, const Tensor& y) {
    indexed_copy(ctx, "embedding", cuda::Route::GatherOrZero, table, ids, y);
}

void CudaBackend::gather_rows(Context& ctx, const Tensor& x, const Tensor& index, const Tensor& y) {
    indexed_copy(ctx, "gather_rows", cuda::Route::Gather, x, index, y);
}

void CudaBackend::scatter_rows(Context& ctx, const Tensor& x, const Tensor& index, const Tensor& y) {
    indexed_copy(ctx, "scatter_rows", cuda::Route::Scatter, x, index, y);
}

void CudaBackend::embedding_backward(Context& ctx, const Tensor& dy, const Tensor& ids, const Tensor& dtable) {
    const std::int64_t count = ids.extent(0);
    require(count <= std::numeric_limits<std::int32_t>::max(), "embedding_backward: {} tokens at once are more than 2^31 - 1", count);
    ArenaScope scope(ctx.workspace);
    const cuda::TokenOrder order = cuda::take_token_order(ctx, ids);
    const cuda::TokenIds tokens{ids.data<std::int32_t>(), static_cast<std::int32_t>(count), dtable.extent(0),
                                order.ranks.data<std::int32_t>(), order.order.data<std::int32_t>()};
    cuda::check(cuda::launch_embedding_backward(cuda::extent_of(dy), tokens, cuda::rows("embedding_backward", dy),
                                                cuda::rows("embedding_backward", dtable), cuda::queue(ctx.stream)),
                "embedding_backward", {dy, ids, dtable});
}

}  // namespace tandem
