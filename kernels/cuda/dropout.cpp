#include "kernels/cuda/dropout.cuh"
#include "kernels/base/philox.h"
#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/operands.h"
#include "kernels/cuda/stream.h"
#include "kernels/ops/elementwise.h"

namespace tandem {

void CudaBackend::dropout(Context& ctx, const DropoutMask& mask, const Tensor& row_ids, const Tensor& x, const Tensor& y) {
    const cuda::Dropout dropout{mask.key, uniform01_threshold(mask.probability), static_cast<float>(1.0 / (1.0 - mask.probability)),
                                mask.first_column, row_ids.data<std::int64_t>()};
    cuda::check(
        cuda::launch_dropout(cuda::extent_of(x), dropout, cuda::rows("dropout", x), cuda::rows("dropout", y), cuda::queue(ctx.stream)),
        "dropout", {row_ids, x, y});
}

}  // namespace tandem
