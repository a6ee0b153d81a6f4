#include <cmath>
#include <vector>

#include "kernels/ops/optimizer.h"
#include "kernels/quant/dynamic_map.h"
#include "kernels/ref/backend_ref.h"

namespace tandem {

namespace {

constexpr std::int64_t kBlock = EightBitMoments::kBlock;

template <class T>
std::span<T> all(const Tensor& x) {
    return {x.data<T>(), static_cast<std::size_t>(x.elements())};
}

}  // namespace

// The bits are the definition: every line is one fp32 operation of torch, with its roundings (kernels/ops/optimizer.h).
void RefBackend::adamw_8bit(Context&, const AdamW& params, const Tensor& grad_scale, const Tensor& grad, const EightBitMoments& moments,
                            const Tensor& master) {
    const auto& [lr, b1, b2, eps, wd, t] = params;
    const auto scale = static_cast<float>(*grad_scale.data<double>());
    const auto beta1 = static_cast<float>(b1), rest1 = static_cast<float>(1.0 - b1);
    const auto beta2 = static_cast<float>(b2), rest2 = static_cast<float>(1.0 - b2);
    const auto correction2 = static_cast<float>(std::sqrt(1.0 - std::pow(b2, static_cast<double>(t))));
    const auto step = static_cast<float>(-lr / (1.0 - std::pow(b1, static_cast<double>(t))));
    const auto decay = static_cast<float>(1.0 - lr * wd);
    std::vector<float> m(static_cast<std::size_t>(master.elements())), v(m.size());
    dequantize_dynamic(Signedness::Signed, kBlock, all<std::uint8_t>(moments.m), all<float>(moments.m_absmax), m);
    dequantize_dynamic(Signedness::Unsigned, kBlock, all<std::uint8_t>(moments.v), all<float>(moments.v_absmax), v);
    const auto gradient = all<float>(grad), p = all<float>(master);
    for (std::size_t i = 0; i < m.size(); ++i) {
        const float g = gradient[i] * scale;
        m[i] = std::fma(g, rest1, m[i] * beta1);
        v[i] = std::fma(rest2 * g, g, v[i] * beta2);
        const float denominator = std::sqrt(v[i]) / correction2 + static_cast<float>(eps);
        if (wd > 0.0) p[i] *= decay;
        p[i] += step * m[i] / denominator;
    }
    quantize_dynamic(Signedness::Signed, kBlock, m, all<std::uint8_t>(moments.m), all<float>(moments.m_absmax));
    quantize_dynamic(Signedness::Unsigned, kBlock, v, all<std::uint8_t>(moments.v), all<float>(moments.v_absmax));
}

}  // namespace tandem
