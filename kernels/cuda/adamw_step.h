// One step of AdamW as its kernels take it.
#pragma once

namespace tandem {
struct AdamW;
}

namespace tandem::cuda {

/// Scalars of a step, each rounded to fp32 once; rest = 1 - beta, rate = lr / (1 - b1^t), correction2 = sqrt(1 - b2^t).
struct AdamWStep {
    float decay, beta1, rest1, beta2, rest2, rate, correction2, eps;
};
[[nodiscard]] AdamWStep adamw_step(const AdamW& params);

}  // namespace tandem::cuda
