#include "kernels/ops/elementwise.h"

#include <cstring>

#include "kernels/base/philox.h"
#include "kernels/ref/backend_ref.h"
#include "kernels/ref/values.h"

namespace tandem {

using ref::View;

namespace {

std::int64_t rows(const Tensor& x) { return x.dims() == 0 ? 1 : x.extent(0); }

std::byte* row(const Tensor& x, std::int64_t i) {
    return static_cast<std::byte*>(x.raw()) + static_cast<std::size_t>(i * x.row_stride()) * size_of(x.dtype());
}

std::size_t row_bytes(const Tensor& x) { return static_cast<std::size_t>(x.row_elements()) * size_of(x.dtype()); }

}  // namespace

void RefBackend::zero(Context&, const Tensor& x) {
    for (std::int64_t i = 0; i < rows(x); ++i) std::memset(row(x, i), 0, row_bytes(x));
}

void RefBackend::cast(Context&, const Tensor& x, const Tensor& y) {
    if (x.dtype() == y.dtype()) {
        for (std::int64_t i = 0; i < rows(x); ++i) std::memmove(row(y, i), row(x, i), row_bytes(x));
        return;
    }
    ref::with_type(x, [&]<class X>(X) {
        ref::with_type(y, [&]<class Y>(Y) {
            const View<X> from(x);
            const View<Y> to(y);
            for (std::int64_t i = 0; i < from.rows(); ++i)
                for (std::int64_t j = 0; j < from.columns(); ++j) to.set(i, j, from(i, j));
        });
    });
}

void RefBackend::add(Context&, const Tensor& a, const Tensor& b, const Tensor& y) {
    ref::with_type(y, [&]<class T>(T) {
        const View<T> left(a), right(b), out(y);
        for (std::int64_t i = 0; i < out.rows(); ++i)
            for (std::int64_t j = 0; j < out.columns(); ++j) out.set(i, j, left(i, j) + right(i, j));
    });
}

void RefBackend::axpy(Context&, double alpha, const Tensor& x, const Tensor& y) {
    ref::with_type(x, [&]<class X>(X) {
        ref::with_type(y, [&]<class Y>(Y) {
            const View<X> in(x);
            const View<Y> out(y);
            for (std::int64_t i = 0; i < out.rows(); ++i)
                for (std::int64_t j = 0; j < out.columns(); ++j) out.add(i, j, alpha * in(i, j));
        });
    });
}

void RefBackend::dropout(Context&, const DropoutMask& mask, const Tensor& row_ids, const Tensor& x, const Tensor& y) {
    const auto* ids = row_ids.data<std::int64_t>();
    const double p = mask.probability;
    ref::with_type(x, [&]<class T>(T) {
        const View<T> in(x), out(y);
        for (std::int64_t i = 0; i < in.rows(); ++i) {
            for (std::int64_t j = 0; j < in.columns(); ++j) {
                const auto column = static_cast<std::uint64_t>(mask.first_column + j);
                const bool keep = static_cast<double>(uniform01(philox_word(mask.key, static_cast<std::uint64_t>(ids[i]), column))) >= p;
                out.set(i, j, keep ? in(i, j) / (1.0 - p) : 0.0);
            }
        }
    });
}

}  // namespace tandem
