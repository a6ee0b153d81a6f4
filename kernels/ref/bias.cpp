#include "kernels/ops/bias.h"

#include "kernels/ref/backend_ref.h"
#include "kernels/ref/values.h"

namespace tandem {

using ref::View;

void RefBackend::bias_add(Context&, const Tensor& bias, const Tensor& y) {
    ref::with_type(y, [&]<class T>(T) {
        const View<T> b(bias), out(y);
        for (std::int64_t i = 0; i < out.rows(); ++i)
            for (std::int64_t j = 0; j < out.columns(); ++j) out.add(i, j, b(j));
    });
}

void RefBackend::bias_backward(Context&, const Tensor& dy, const Tensor& dbias) {
    ref::with_type(dy, [&]<class T>(T) {
        const View<T> d(dy);
        const View<ref::Accumulation<T>> out(dbias);
        for (std::int64_t j = 0; j < d.columns(); ++j) {
            double sum = 0.0;
            for (std::int64_t i = 0; i < d.rows(); ++i) sum += d(i, j);
            out.add(j, 0, sum);
        }
    });
}

}  // namespace tandem
