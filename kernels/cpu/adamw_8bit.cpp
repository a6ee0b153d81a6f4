#include <cmath>

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd.h"
#include "kernels/ops/optimizer.h"
#include "kernels/quant/dynamic_map.h"

namespace tandem {

namespace cpu {

/// One step's scalars, rounded as torch rounds a Python number that meets an fp32 tensor.
struct EightBitStep {
    float grad_scale, decay, beta1, rest1, beta2, rest2, rate, correction2, eps;
};

/// The fp32 operations of torch one by one: the fused multiply-adds are those of its add_ and addcmul_, all else is rounded apart.
TANDEM_CLONES void adamw_8bit_piece(const EightBitStep& step, const float* grad, float* m, float* v, float* master, std::int64_t n) {
    const EightBitStep s = step;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
        const float g = grad[i] * s.grad_scale;
        m[i] = __builtin_fmaf(g, s.rest1, m[i] * s.beta1);
        v[i] = __builtin_fmaf(s.rest2 * g, g, v[i] * s.beta2);
        const float denominator = __builtin_sqrtf(v[i]) / s.correction2 + s.eps;
        master[i] = master[i] * s.decay + s.rate * m[i] / denominator;
    }
}

namespace {

constexpr std::int64_t kBlock = EightBitMoments::kBlock;
constexpr std::int64_t kBlocks = kPiece / kBlock;  ///< treated at once

/// A moment of a piece: in fp32 while it is updated.
class Moment {
public:
    Moment(Signedness signedness, const Tensor& codes, const Tensor& absmax, std::int64_t first, std::int64_t count)
        : signedness_(signedness),
          codes_(codes.data<std::uint8_t>() + first, static_cast<std::size_t>(count)),
          absmax_(absmax.data<float>() + first / kBlock, static_cast<std::size_t>((count + kBlock - 1) / kBlock)),
          values_(buffer_, static_cast<std::size_t>(count)) {
        dequantize_dynamic(signedness_, kBlock, codes_, absmax_, values_);
    }
    Moment(const Moment&) = delete;
    Moment& operator=(const Moment&) = delete;
    float* data() { return buffer_; }
    void store() const { quantize_dynamic(signedness_, kBlock, values_, codes_, absmax_); }

private:
    Signedness signedness_;
    std::span<std::uint8_t> codes_;
    std::span<float> absmax_;
    alignas(64) float buffer_[kBlocks * kBlock];
    std::span<float> values_;
};

}  // namespace

}  // namespace cpu

void CpuBackend::adamw_8bit(Context&, const AdamW& params, const Tensor& grad_scale, const Tensor& grad, const EightBitMoments& moments,
                            const Tensor& master) {
    const auto t = static_cast<double>(params.step);
    const double decay = params.weight_decay > 0.0 ? 1.0 - params.learning_rate * params.weight_decay : 1.0;
    const cpu::EightBitStep step{.grad_scale = static_cast<float>(*grad_scale.data<double>()),
                                 .decay = static_cast<float>(decay),
                                 .beta1 = static_cast<float>(params.beta1),
                                 .rest1 = static_cast<float>(1.0 - params.beta1),
                                 .beta2 = static_cast<float>(params.beta2),
                                 .rest2 = static_cast<float>(1.0 - params.beta2),
                                 .rate = static_cast<float>(-params.learning_rate / (1.0 - std::pow(params.beta1, t))),
                                 .correction2 = static_cast<float>(std::sqrt(1.0 - std::pow(params.beta2, t))),
                                 .eps = static_cast<float>(params.eps)};
    const std::int64_t n = master.elements();
    const std::int64_t pieces = (n + cpu::kPiece - 1) / cpu::kPiece;
    cpu::parallel_for(pieces <= 8 ? 1 : threads_, pieces, [&](std::int64_t piece) {
        const std::int64_t first = piece * cpu::kPiece;
        const std::int64_t count = std::min(cpu::kPiece, n - first);
        cpu::Moment m(Signedness::Signed, moments.m, moments.m_absmax, first, count);
        cpu::Moment v(Signedness::Unsigned, moments.v, moments.v_absmax, first, count);
        cpu::adamw_8bit_piece(step, grad.data<float>() + first, m.data(), v.data(), master.data<float>() + first, count);
        m.store();
        v.store();
    });
}

}  // namespace tandem
