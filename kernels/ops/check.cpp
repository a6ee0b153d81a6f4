#include "kernels/ops/check.h"

namespace tandem::ops {

namespace {

struct Bytes {
    std::uintptr_t begin, end;
    std::int64_t row, stride;
};

Bytes bytes_of(const Tensor& x) {
    const auto size = static_cast<std::int64_t>(size_of(x.dtype()));
    const auto begin = reinterpret_cast<std::uintptr_t>(x.raw());
    const auto row = x.row_elements() * size;
    const auto stride = x.row_stride() * size;
    const auto rows = x.dims() == 0 ? 1 : x.extent(0);
    return {begin, begin + static_cast<std::uintptr_t>((rows - 1) * stride + row), row, stride};
}

bool same_view(const Tensor& a, const Tensor& b) {
    return a.raw() == b.raw() && a.dtype() == b.dtype() && a.elements() == b.elements() &&
           ((a.contiguous() && b.contiguous()) || (a.extent(0) == b.extent(0) && a.row_stride() == b.row_stride()));
}

}  // namespace

bool overlap(const Tensor& a, const Tensor& b) {
    if (!a || !b || a.elements() == 0 || b.elements() == 0) return false;
    const Bytes x = bytes_of(a);
    const Bytes y = bytes_of(b);
    if (x.end <= y.begin || y.end <= x.begin) return false;
    if (x.stride != y.stride || a.contiguous() || b.contiguous()) return true;
    // Interleaved rows of one buffer: where y's columns begin inside a row that starts with x's.
    const auto distance = static_cast<std::int64_t>(y.begin - x.begin);
    const auto column = ((distance % x.stride) + x.stride) % x.stride;
    return column < x.row || column + y.row > x.stride;
}

void Check::dims(std::string_view name, const Tensor& x, int dims) const {
    that(static_cast<bool>(x), "{} is absent", name);
    that(x.dims() == dims, "{} is {}, but {} dimensions are needed", name, x.str(), dims);
}

void Check::shape(std::string_view name, const Tensor& x, const Shape& shape) const {
    that(static_cast<bool>(x), "{} is absent, {} is needed", name, shape.str());
    that(x.shape() == shape, "{} is {}, but {} is needed", name, x.str(), shape.str());
}

void Check::type(std::string_view name, const Tensor& x, DType type) const {
    that(static_cast<bool>(x), "{} is absent", name);
    that(x.dtype() == type, "{} is {}, but {} is needed", name, x.str(), tandem::name(type));
}

void Check::floating(std::string_view name, const Tensor& x) const {
    that(static_cast<bool>(x), "{} is absent", name);
    that(is_float(x.dtype()), "{} is {}, but a floating-point type is needed", name, x.str());
}

void Check::accumulation(std::string_view name, const Tensor& x, DType of) const { type(name, x, accumulation_type(of)); }

void Check::contiguous(std::string_view name, const Tensor& x) const {
    that(x.contiguous(), "{} is {} with rows {} elements apart, but must be contiguous", name, x.str(), x.row_stride());
}

void Check::scalar(std::string_view name, const Tensor& x) const {
    type(name, x, DType::F64);
    shape(name, x, Shape{1});
}

void Check::apart(std::string_view x_name, const Tensor& x, std::string_view y_name, const Tensor& y) const {
    that(!overlap(x, y), "{} {} and {} {} share memory", x_name, x.str(), y_name, y.str());
}

void Check::same_or_apart(std::string_view x_name, const Tensor& x, std::string_view y_name, const Tensor& y) const {
    that(same_view(x, y) || !overlap(x, y), "{} {} and {} {} share memory in part; they may be the same tensor or apart", x_name, x.str(),
         y_name, y.str());
}

void Check::like(std::string_view name, const Tensor& x, const Tensor& model) const {
    shape(name, x, model.shape());
    type(name, x, model.dtype());
}

}  // namespace tandem::ops
