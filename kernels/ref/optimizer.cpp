#include "kernels/ops/optimizer.h"

#include <algorithm>
#include <cmath>

#include "kernels/ref/backend_ref.h"
#include "kernels/ref/values.h"

namespace tandem {

using ref::View;

void RefBackend::sum_of_squares(Context&, const Tensor& x, const Tensor& sum) {
    double squares = 0.0;
    ref::with_type(x, [&]<class T>(T) {
        const T* value = x.data<T>();
        for (std::int64_t i = 0; i < x.elements(); ++i) squares += ref::load(value[i]) * ref::load(value[i]);
    });
    *sum.data<double>() += squares;
}

void RefBackend::clip_scale(Context&, const Tensor& sum, double max_norm, double inverse_tokens, const Tensor& norm, const Tensor& scale) {
    const double n = std::sqrt(*sum.data<double>()) * inverse_tokens;
    *norm.data<double>() = n;
    *scale.data<double>() = inverse_tokens * (max_norm > 0.0 ? std::min(1.0, max_norm / (n + 1e-6)) : 1.0);
}

void RefBackend::adamw(Context&, const AdamW& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& m, const Tensor& v,
                       const Tensor& master) {
    const auto& [lr, b1, b2, eps, wd, t] = params;
    const double scale = *grad_scale.data<double>();
    const double correction1 = 1.0 - std::pow(b1, static_cast<double>(t));
    const double correction2 = std::sqrt(1.0 - std::pow(b2, static_cast<double>(t)));
    ref::with_type(master, [&]<class T>(T) {
        const T* gradient = grad.data<T>();
        T* first = m.data<T>();
        T* second = v.data<T>();
        T* p = master.data<T>();
        for (std::int64_t i = 0; i < master.elements(); ++i) {
            const double g = scale * ref::load(gradient[i]);
            const double mi = b1 * ref::load(first[i]) + (1.0 - b1) * g;
            const double vi = b2 * ref::load(second[i]) + (1.0 - b2) * g * g;
            const double decayed = ref::load(p[i]) * (1.0 - lr * wd);
            first[i] = ref::round_to<T>(mi);
            second[i] = ref::round_to<T>(vi);
            p[i] = ref::round_to<T>(decayed - lr / correction1 * mi / (std::sqrt(vi) / correction2 + eps));
        }
    });
}

void RefBackend::sgd(Context&, const Sgd& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& master) {
    const auto& [lr, wd] = params;
    const double scale = *grad_scale.data<double>();
    ref::with_type(master, [&]<class T>(T) {
        const T* gradient = grad.data<T>();
        T* p = master.data<T>();
        for (std::int64_t i = 0; i < master.elements(); ++i)
            p[i] = ref::round_to<T>(ref::load(p[i]) * (1.0 - lr * wd) - lr * scale * ref::load(gradient[i]));
    });
}

}  // namespace tandem
