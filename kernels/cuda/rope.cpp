#include "kernels/ops/rope.h"

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/operands.h"
#include "kernels/cuda/rope.cuh"
#include "kernels/cuda/stream.h"

namespace tandem {

// A position outside of the tables, which the host does not see, ends the launch: the next call that asks the device fails.
void CudaBackend::rope(Context& ctx, Rotation rotation, const Tensor& cos, const Tensor& sin, const Tensor& positions, const Tensor& x) {
    const cuda::Rope rope{cos.data<float>(),
                          sin.data<float>(),
                          cos.extent(0),
                          cos.extent(1),
                          positions.data<std::int32_t>(),
                          x.extent(0),
                          x.extent(1),
                          x.extent(2),
                          rotation == Rotation::Forward ? 1.0F : -1.0F};
    cuda::check(cuda::launch_rope(rope, cuda::rows("rope", x), cuda::queue(ctx.stream)), "rope", {cos, sin, positions, x});
}

}  // namespace tandem
