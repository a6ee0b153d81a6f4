#include "kernels/ops/rope.h"

#include "kernels/ref/backend_ref.h"
#include "kernels/ref/values.h"

namespace tandem {

using ref::View;

void RefBackend::rope(Context&, Rotation rotation, const Tensor& cos, const Tensor& sin, const Tensor& positions, const Tensor& x) {
    const double sign = rotation == Rotation::Forward ? 1.0 : -1.0;
    const auto heads = x.extent(1);
    const auto head_dim = x.extent(2);
    const auto half = cos.extent(1);
    ref::with_type(x, [&]<class T>(T) {
        const View<T> value(x);
        const View<ref::Accumulation<T>> cosine(cos), sine(sin);
        for (std::int64_t i = 0; i < value.rows(); ++i) {
            const auto position = ref::index_below("rope", "positions", positions, i, cos.extent(0));
            for (std::int64_t head = 0; head < heads; ++head) {
                for (std::int64_t j = head * head_dim; j < head * head_dim + half; ++j) {
                    const double c = cosine(position, j - head * head_dim);
                    const double s = sign * sine(position, j - head * head_dim);
                    const double first = value(i, j);
                    const double second = value(i, j + half);
                    value.set(i, j, first * c - second * s);
                    value.set(i, j + half, second * c + first * s);
                }
            }
        }
    });
}

}  // namespace tandem
