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

void RefBackend::cross_entropy_statistics(Context&, const Tensor& logits, const Tensor& labels, const Tensor& statistics) {
    ref::with_type(logits, [&]<class A>(A) {
        const View<A> z(logits), out(statistics);
        for (std::int64_t i = 0; i < z.rows(); ++i) {
            const auto label = ref::index_or_elsewhere("cross_entropy_statistics", "labels", labels, i, z.columns());
            double largest = z(i, 0);
            for (std::int64_t j = 1; j < z.columns(); ++j) largest = std::max(largest, z(i, j));
            double sum = 0.0;
            for (std::int64_t j = 0; j < z.columns(); ++j) sum += std::exp(z(i, j) - largest);
            out.set(i, 0, largest);
            out.set(i, 1, sum);
            out.set(i, 2, label < 0 ? 0.0 : z(i, label));
        }
    });
}

void RefBackend::cross_entropy_from_statistics(Context&, const Tensor& logits, const Tensor& labels, const Tensor& statistics,
                                               const Tensor& loss_sum, const Tensor& dlogits) {
    double loss = 0.0;
    ref::with_type(logits, [&]<class A>(A) {
        ref::with_type(dlogits ? dlogits : logits, [&]<class T>(T) {
            const View<A> z(logits), of(statistics);  // row k of `of`: part k, three numbers a row of the logits
            const View<T> dz(dlogits);
            for (std::int64_t i = 0; i < z.rows(); ++i) {
                const auto label = ref::index_or_elsewhere("cross_entropy_from_statistics", "labels", labels, i, z.columns());
                double largest = of(0, 3 * i), sum = 0.0, of_label = 0.0;
                for (std::int64_t k = 1; k < of.rows(); ++k) largest = std::max(largest, of(k, 3 * i));
                for (std::int64_t k = 0; k < of.rows(); ++k) {
                    sum += of(k, 3 * i + 1) * std::exp(of(k, 3 * i) - largest);
                    of_label += of(k, 3 * i + 2);
                }
                const double lse = largest + std::log(sum);
                loss += lse - of_label;
                if (!dlogits) continue;
                for (std::int64_t j = 0; j < z.columns(); ++j) dz.set(i, j, std::exp(z(i, j) - lse) - (j == label ? 1.0 : 0.0));
            }
        });
    });
    if (loss_sum) *loss_sum.data<double>() += loss;
}

}  // namespace tandem
