#include "kernels/ops/rmsnorm.h"

#include <cmath>
#include <vector>

#include "kernels/ref/backend_ref.h"
#include "kernels/ref/values.h"

namespace tandem {

using ref::View;

void RefBackend::rmsnorm(Context&, const RmsNorm& norm, const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& rstd) {
    const double o = norm.weight_offset;
    ref::with_type(x, [&]<class T>(T) {
        const View<T> in(x), weight(w), out(y);
        const View<ref::Accumulation<T>> statistics(rstd);
        const auto h = in.columns();
        for (std::int64_t i = 0; i < in.rows(); ++i) {
            double squares = 0.0;
            for (std::int64_t j = 0; j < h; ++j) squares += in(i, j) * in(i, j);
            const double r = 1.0 / std::sqrt(squares / static_cast<double>(h) + norm.eps);
            if (rstd) statistics.set(i, 0, r);
            for (std::int64_t j = 0; j < h; ++j) {
                const double normalized = in(i, j) * r;
                // Llama's norm rounds before the product with w, Gemma's after it.
                out.set(i, j, o == 0.0 ? ref::load(ref::round_to<T>(normalized)) * weight(j) : normalized * (o + weight(j)));
            }
        }
    });
}

void RefBackend::rmsnorm_backward(Context&, const RmsNorm& norm, const Tensor& dy, const Tensor& x, const Tensor& w, const Tensor& rstd,
                                  const Tensor& dx, Write write, const Tensor& dw) {
    const double o = norm.weight_offset;
    ref::with_type(x, [&]<class T>(T) {
        using A = ref::Accumulation<T>;
        const View<T> d(dy), in(x), weight(w), out(dx);
        const View<A> r(rstd), dweight(dw);
        const auto h = in.columns();
        std::vector<double> dw_sum(static_cast<std::size_t>(h), 0.0);
        for (std::int64_t i = 0; i < in.rows(); ++i) {
            double gx = 0.0;  // sum_j g_ij x_ij
            for (std::int64_t j = 0; j < h; ++j) {
                gx += d(i, j) * (o + weight(j)) * in(i, j);
                dw_sum[static_cast<std::size_t>(j)] += d(i, j) * in(i, j) * r(i);
            }
            const double mean = gx / static_cast<double>(h);
            for (std::int64_t j = 0; j < h; ++j) {
                const double g = d(i, j) * (o + weight(j));
                const double value = r(i) * (g - in(i, j) * r(i) * r(i) * mean);
                out.set(i, j, value + (write == Write::Accumulate ? out(i, j) : 0.0));
            }
        }
        if (!dw) return;
        for (std::int64_t j = 0; j < h; ++j) dweight.add(j, 0, dw_sum[static_cast<std::size_t>(j)]);
    });
}

}  // namespace tandem
