#include "kernels/ops/attention.h"

#include <algorithm>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/library_attention.h"
#include "kernels/cuda/operands.h"
#include "kernels/cuda/scratch.h"
#include "kernels/cuda/stream.h"

namespace tandem {

namespace cuda {

namespace {

/// More than any memory holds: positions, their differences, and numbers of blocks fit an int.
constexpr std::int64_t kMostTokens = std::int64_t{1} << 29U, kMostRows = std::int64_t{1} << 30U;

AttentionShape shape_of(std::string_view op, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k) {
    const std::int64_t samples = segments.q.extent(0) - 1;
    require(samples > 0 && k.extent(0) <= kMostTokens && (q.extent(0) + samples) * q.extent(1) <= kMostRows,
            "{}: {} samples of {} queries and {} keys", op, samples, q.extent(0), k.extent(0));
    const std::int64_t longest = std::clamp<std::int64_t>(segments.max_length, 1, kMostTokens);
    const std::int64_t window = params.window > 0 ? std::min(params.window, longest) : longest;
    const auto number = [](std::int64_t n) { return static_cast<int>(n); };
    return {.samples = {.q = segments.q.data<std::int32_t>(),
                        .k = segments.k.data<std::int32_t>(),
                        .count = number(samples),
                        .max_length = number(longest),
                        .q_tokens = number(q.extent(0)),
                        .k_tokens = number(k.extent(0))},
            .heads = number(q.extent(1)),
            .kv_heads = number(k.extent(1)),
            .head_dim = number(q.extent(2)),
            .scale = static_cast<float>(params.scale),
            .softcap = static_cast<float>(params.softcap),
            .window = number(window)};
}

/// Whether the kernels on tensor cores take these operands. Models' do.
bool on_tensor_cores(const AttentionShape& shape, std::initializer_list<Rows> operands) {
    const auto fits = [](const Rows& x) {
        return x.type != Element::F32 && reinterpret_cast<std::uintptr_t>(x.data) % 16 == 0 && x.stride % 8 == 0;
    };
    return shape.head_dim % 8 == 0 && shape.head_dim <= 256 && shape.scale > 0.0F && std::ranges::all_of(operands, fits);
}

}  // namespace

}  // namespace cuda

void CudaBackend::attention(Context& ctx, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k,
                            const Tensor& v, const Tensor& o, const Tensor& lse) {
    constexpr auto op = "attention";
    const auto shape = cuda::shape_of(op, params, segments, q, k);
    const cuda::AttentionInputs in{cuda::rows(op, q), cuda::rows(op, k), cuda::rows(op, v)};
    const auto out = cuda::rows(op, o);
    const auto stream = cuda::queue(ctx.stream);
    if (library_attention_) {
        const ArenaScope scope(ctx.workspace);
        const auto space = cuda::take_attention_library_space(ctx, q);
        if (library_attention_->run(shape, in, out, lse.data<float>(), space, stream)) return;
    }
    const auto launch = cuda::on_tensor_cores(shape, {in.q, in.k, in.v, out}) ? cuda::launch_attention : cuda::launch_plain_attention;
    cuda::check(launch(shape, in, out, lse.data<float>(), stream), op, {q, k, v, o, lse});
}

void CudaBackend::attention_backward(Context& ctx, const Attention& params, const Segments& segments, const Tensor& d_o, const Tensor& q,
                                     const Tensor& k, const Tensor& v, const Tensor& o, const Tensor& lse, const Tensor& dq,
                                     const Tensor& dk, const Tensor& dv) {
    constexpr auto op = "attention_backward";
    const auto shape = cuda::shape_of(op, params, segments, q, k);
    const cuda::AttentionInputs in{cuda::rows(op, q), cuda::rows(op, k), cuda::rows(op, v)};
    const cuda::AttentionGradients out{cuda::rows(op, dq), cuda::rows(op, dk), cuda::rows(op, dv)};
    const auto do_rows = cuda::rows(op, d_o);
    const auto stream = cuda::queue(ctx.stream);
    const auto* log_sums = lse.data<float>();
    const auto check = [&](cuda::Status status) { cuda::check(status, op, {d_o, q, k, v, o, lse, dq, dk, dv}); };

    ArenaScope scope(ctx.workspace);
    auto* delta = cuda::take_attention_delta(ctx, q).data<float>();
    check(cuda::launch_attention_delta(shape, do_rows, cuda::rows(op, o), delta, stream));
    if (cuda::on_tensor_cores(shape, {do_rows, in.q, in.k, in.v, out.dq, out.dk, out.dv})) {
        check(cuda::launch_attention_query_gradient(shape, do_rows, in, log_sums, delta, out.dq, stream));
        check(cuda::launch_attention_key_gradient(shape, do_rows, in, log_sums, delta, out.dk, out.dv, stream));
    } else {
        check(cuda::launch_plain_attention_backward(shape, do_rows, in, log_sums, delta, out, stream));
    }
}

}  // namespace tandem
