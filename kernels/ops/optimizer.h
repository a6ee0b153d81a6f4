// The end of a step: gradient norm, clipping, update. All deterministic for a given shape and thread count.
#pragma once

#include "kernels/base/backend.h"

namespace tandem::ops {

/// sum fp64 [1] += sum of x_i^2, accumulated in fp64. x floating-point, contiguous.
void sum_of_squares(Context&, const Tensor& x, const Tensor& sum);

/// From sum fp64 [1], the squared norm of gradients that are sums over trained tokens:
///   norm = sqrt(sum) * inverse_tokens;  scale = inverse_tokens * min(1, max_norm / (norm + 1e-6))
/// as torch.nn.utils.clip_grad_norm_ clips; max_norm <= 0 leaves the norm alone. norm, scale fp64 [1].
void clip_scale(Context&, const Tensor& sum, double max_norm, double inverse_tokens, const Tensor& norm, const Tensor& scale);

/// torch.optim.AdamW with g = grad_scale[0] * grad:
///   p *= 1 - lr wd;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
///   p -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
/// grad, m, v, master: contiguous, one shape, one accumulation type; grad_scale fp64 [1].
void adamw(Context&, const AdamW& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& m, const Tensor& v,
           const Tensor& master);

/// The same with the moments in eight bits, to the bit as bitsandbytes' AdamW8bit does it on a processor: they are dequantised block by
/// block, updated in fp32, and quantised again with the largest magnitude of the block as its absmax. All moments zero are codes of 0 and
/// absmax 0. grad and master: contiguous, fp32, [n]; n need not be a multiple of 256; blocks begin at element 0.
///   p *= 1 - lr wd;  m = fma(g, 1 - b1, b1 m);  v = fma((1 - b2) g, g, b2 v)
///   p += -lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
/// Codes and absmax are the library's everywhere; master where its square root is IEEE's (torch may take it from a vector library that
/// is an ulp off). Its CUDA kernel decays after the update, scales the step and eps by sqrt(1 - b2^t) instead of the denominator, and
/// takes the nearest code, of the number's own sign; codes and parameters differ from these in last places.
void adamw_8bit(Context&, const AdamW& params, const Tensor& grad_scale, const Tensor& grad, const EightBitMoments& moments,
                const Tensor& master);

/// p = p (1 - lr wd) - lr grad_scale[0] grad.
void sgd(Context&, const Sgd& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& master);

}  // namespace tandem::ops
