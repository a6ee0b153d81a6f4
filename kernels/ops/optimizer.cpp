#include "kernels/ops/optimizer.h"

#include "kernels/ops/check.h"

namespace tandem::ops {

namespace {

/// Optimizer state: contiguous, in fp32 or fp64.
void check_state(const Check& check, std::string_view name, const Tensor& x) {
    check.floating(name, x);
    check.accumulation(name, x, x.dtype());
    check.contiguous(name, x);
}

void check_state_like(const Check& check, std::string_view name, const Tensor& x, const Tensor& master) {
    check.like(name, x, master);
    check.contiguous(name, x);
}

}  // namespace

void sum_of_squares(Context& ctx, const Tensor& x, const Tensor& sum) {
    const Check check("sum_of_squares");
    check.floating("x", x);
    check.contiguous("x", x);
    check.scalar("sum", sum);
    if (x.elements() == 0) return;
    ctx.backend.sum_of_squares(ctx, x, sum);
}

void clip_scale(Context& ctx, const Tensor& sum, double max_norm, double inverse_tokens, const Tensor& norm, const Tensor& scale) {
    const Check check("clip_scale");
    check.scalar("sum", sum);
    check.scalar("norm", norm);
    check.scalar("scale", scale);
    check.apart("norm", norm, "scale", scale);
    ctx.backend.clip_scale(ctx, sum, max_norm, inverse_tokens, norm, scale);
}

void adamw(Context& ctx, const AdamW& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& m, const Tensor& v,
           const Tensor& master) {
    const Check check("adamw");
    check.that(params.step >= 1, "step {} is not counted from 1", params.step);
    check.scalar("grad_scale", grad_scale);
    check_state(check, "master", master);
    check_state_like(check, "grad", grad, master);
    check_state_like(check, "m", m, master);
    check_state_like(check, "v", v, master);
    check.apart("m", m, "v", v);
    check.apart("m", m, "master", master);
    check.apart("v", v, "master", master);
    check.apart("grad", grad, "master", master);
    check.apart("grad", grad, "m", m);
    check.apart("grad", grad, "v", v);
    if (master.elements() == 0) return;
    ctx.backend.adamw(ctx, params, grad_scale, grad, m, v, master);
}

void adamw_8bit(Context& ctx, const AdamW& params, const Tensor& grad_scale, const Tensor& grad, const EightBitMoments& moments,
                const Tensor& master) {
    const Check check("adamw_8bit");
    check.that(params.step >= 1, "step {} is not counted from 1", params.step);
    check.scalar("grad_scale", grad_scale);
    check.type("master", master, DType::F32);
    check.contiguous("master", master);
    check_state_like(check, "grad", grad, master);
    check.apart("grad", grad, "master", master);
    const std::int64_t n = master.elements();
    if (n == 0) return;
    const Shape blocks{(n + EightBitMoments::kBlock - 1) / EightBitMoments::kBlock};
    const auto check_moment = [&](std::string_view name, const Tensor& x, DType type, const Shape& shape) {
        check.type(name, x, type);
        check.shape(name, x, shape);
        check.apart(name, x, "master", master);
        check.apart(name, x, "grad", grad);
    };
    check_moment("m", moments.m, DType::U8, {n});
    check_moment("v", moments.v, DType::U8, {n});
    check_moment("m_absmax", moments.m_absmax, DType::F32, blocks);
    check_moment("v_absmax", moments.v_absmax, DType::F32, blocks);
    check.apart("m", moments.m, "v", moments.v);
    check.apart("m_absmax", moments.m_absmax, "v_absmax", moments.v_absmax);
    ctx.backend.adamw_8bit(ctx, params, grad_scale, grad, moments, master);
}

void sgd(Context& ctx, const Sgd& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& master) {
    const Check check("sgd");
    check.scalar("grad_scale", grad_scale);
    check_state(check, "master", master);
    check_state_like(check, "grad", grad, master);
    check.apart("grad", grad, "master", master);
    if (master.elements() == 0) return;
    ctx.backend.sgd(ctx, params, grad_scale, grad, master);
}

}  // namespace tandem::ops
