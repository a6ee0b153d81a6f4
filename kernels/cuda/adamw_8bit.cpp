#include <algorithm>

#include "kernels/cuda/adamw_8bit.cuh"
#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/stream.h"
#include "kernels/ops/optimizer.h"
#include "kernels/quant/dynamic_map.h"

namespace tandem {

namespace {

/// Rising values 1 to 255 as a binary tree, in order of the levels: a search's first steps read the same few bytes in all threads.
void fill_tree(const std::array<std::uint16_t, 256>& rising, std::size_t node, std::size_t& next, std::uint16_t (&tree)[256]) {
    if (node >= 256) return;
    fill_tree(rising, 2 * node, next, tree);
    tree[node] = rising[next++];
    fill_tree(rising, 2 * node + 1, next, tree);
}

cuda::DynamicCode dynamic_code(Signedness signedness) {
    cuda::DynamicCode code{};
    std::ranges::copy(dynamic_map(signedness), code.map);
    std::size_t next = 1;
    fill_tree(first_places(signedness), 1, next, code.tree);
    return code;
}

}  // namespace

void CudaBackend::adamw_8bit(Context& ctx, const AdamW& params, const Tensor& grad_scale, const Tensor& grad,
                             const EightBitMoments& moments, const Tensor& master) {
    static const cuda::MomentCodes codes{dynamic_code(Signedness::Signed), dynamic_code(Signedness::Unsigned)};
    cuda::AdamWStep step = cuda::adamw_step(params);
    if (params.weight_decay <= 0.0) step.decay = 1.0F;
    const cuda::EightBitState state{.n = master.elements(),
                                    .grad = grad.data<float>(),
                                    .m = moments.m.data<std::uint8_t>(),
                                    .v = moments.v.data<std::uint8_t>(),
                                    .m_absmax = moments.m_absmax.data<float>(),
                                    .v_absmax = moments.v_absmax.data<float>(),
                                    .master = master.data<float>()};
    cuda::check(cuda::launch_adamw_8bit(step, grad_scale.data<double>(), state, codes, cuda::queue(ctx.stream)), "adamw_8bit",
                {grad, moments.m, moments.v, master});
}

}  // namespace tandem
