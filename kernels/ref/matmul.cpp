#include "kernels/ops/matmul.h"

#include <vector>

#include "kernels/ref/backend_ref.h"
#include "kernels/ref/values.h"

namespace tandem {

using ref::View;

namespace {

/// c(i, j) = alpha sum(a(i, l) b(l, j)) + plus(c, i, j)
template <class F>
void products(const Operand& a, const Operand& b, const Tensor& c, double alpha, F plus) {
    const bool at = a.transpose == Transpose::Yes;
    const bool bt = b.transpose == Transpose::Yes;
    const auto inner = a.columns();
    ref::with_type(a.x, [&]<class T>(T) {
        ref::with_type(c, [&]<class C>(C) {
            const View<T> left(a.x), right(b.x);
            const View<C> out(c);
            for (std::int64_t i = 0; i < out.rows(); ++i) {
                for (std::int64_t j = 0; j < out.columns(); ++j) {
                    double sum = 0.0;
                    for (std::int64_t l = 0; l < inner; ++l) sum += (at ? left(l, i) : left(i, l)) * (bt ? right(j, l) : right(l, j));
                    out.set(i, j, alpha * sum + plus(out, i, j));
                }
            }
        });
    });
}

}  // namespace

void RefBackend::matmul(Context&, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
    products(a, b, c, alpha, [&](const auto& out, std::int64_t i, std::int64_t j) { return write == Write::Accumulate ? out(i, j) : 0.0; });
}

void RefBackend::matmul_bias(Context&, const Operand& a, const Operand& b, const Tensor& bias, const Tensor& c) {
    std::vector<double> added;
    ref::with_type(bias, [&]<class T>(T) {
        for (std::int64_t j = 0; j < bias.extent(0); ++j) added.push_back(View<T>(bias)(j));
    });
    products(a, b, c, 1.0, [&](const auto&, std::int64_t, std::int64_t j) { return added[static_cast<std::size_t>(j)]; });
}

}  // namespace tandem
