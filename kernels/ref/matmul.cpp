#include "kernels/ops/matmul.h"

#include "kernels/ref/backend_ref.h"
#include "kernels/ref/values.h"

namespace tandem {

using ref::View;

void RefBackend::matmul(Context&, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
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
                    out.set(i, j, alpha * sum + (write == Write::Accumulate ? out(i, j) : 0.0));
                }
            }
        });
    });
}

}  // namespace tandem
