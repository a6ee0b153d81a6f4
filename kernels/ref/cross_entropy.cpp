#include "kernels/ops/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "kernels/ref/backend_ref.h"
#include "kernels/ref/values.h"

namespace tandem {

using ref::View;

void RefBackend::cross_entropy(Context&, const Tensor& logits, const Tensor& labels, const Tensor& loss_sum, const Tensor& dlogits) {
    const auto n = logits.extent(0);
    const auto vocabulary = logits.extent(1);
    double loss = 0.0;
    ref::with_type(logits, [&]<class A>(A) {
        ref::with_type(dlogits ? dlogits : logits, [&]<class T>(T) {
            const View<A> z(logits);
            const View<T> dz(dlogits);
            for (std::int64_t i = 0; i < n; ++i) {
                const auto label = ref::index_below("cross_entropy", "labels", labels, i, vocabulary);
                double largest = z(i, 0);
                for (std::int64_t j = 1; j < vocabulary; ++j) largest = std::max(largest, z(i, j));
                double sum = 0.0;
                for (std::int64_t j = 0; j < vocabulary; ++j) sum += std::exp(z(i, j) - largest);
                const double lse = largest + std::log(sum);
                loss += lse - z(i, label);
                if (!dlogits) continue;
                for (std::int64_t j = 0; j < vocabulary; ++j) dz.set(i, j, std::exp(z(i, j) - lse) - (j == label ? 1.0 : 0.0));
            }
        });
    });
    *loss_sum.data<double>() += loss;
}

}  // namespace tandem
