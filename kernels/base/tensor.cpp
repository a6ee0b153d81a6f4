#include "kernels/base/tensor.h"

#include <algorithm>

namespace tandem {

Shape::Shape(std::span<const std::int64_t> extents) : dims_(static_cast<int>(extents.size())) {
    require(extents.size() <= kMaxDims, "a tensor has at most {} dimensions, not {}", kMaxDims, extents.size());
    std::copy(extents.begin(), extents.end(), extents_.begin());
}

std::int64_t Shape::elements() const {
    std::int64_t n = 1;
    for (const auto e : extents()) n *= e;
    return n;
}

std::string Shape::str() const {
    std::string text = "[";
    for (int i = 0; i < dims_; ++i) text += (i ? ", " : "") + std::to_string((*this)[i]);
    return text + "]";
}

Tensor::Tensor(void* data, DType dtype, Shape shape) : data_(data), dtype_(dtype), shape_(shape), row_stride_(row_elements()) {}

Tensor::Tensor(void* data, DType dtype, Shape shape, std::int64_t row_stride)
    : data_(data), dtype_(dtype), shape_(shape), row_stride_(row_stride) {
    require(dims() >= 1 && row_stride >= row_elements(), "row stride {} of {} is shorter than a row", row_stride, str());
}

std::int64_t Tensor::row_elements() const {
    std::int64_t n = 1;
    for (int i = 1; i < dims(); ++i) n *= extent(i);
    return n;
}

Tensor Tensor::rows(std::int64_t first, std::int64_t last) const {
    require(dims() >= 1 && 0 <= first && first <= last && last <= extent(0), "rows [{}, {}) of {}", first, last, str());
    std::array<std::int64_t, Shape::kMaxDims> e{};
    std::copy(shape_.extents().begin(), shape_.extents().end(), e.begin());
    e[0] = last - first;
    auto* start = static_cast<std::byte*>(data_) + static_cast<std::size_t>(first * row_stride_) * size_of(dtype_);
    return {start, dtype_, Shape(std::span<const std::int64_t>(e.data(), static_cast<std::size_t>(dims()))), row_stride_};
}

Tensor Tensor::columns(std::int64_t first, std::int64_t last) const {
    require(dims() == 2 && 0 <= first && first <= last && last <= extent(1), "columns [{}, {}) of {}", first, last, str());
    auto* start = static_cast<std::byte*>(data_) + static_cast<std::size_t>(first) * size_of(dtype_);
    return {start, dtype_, Shape{extent(0), last - first}, row_stride_};
}

Tensor Tensor::reshape(Shape shape) const {
    require(shape.elements() == elements(), "{} cannot be viewed as {}", str(), shape.str());
    if (contiguous()) return {data_, dtype_, shape};
    require(shape.dims() >= 1 && shape[0] == extent(0), "strided {} cannot be viewed as {}", str(), shape.str());
    return {data_, dtype_, shape, row_stride_};
}

std::string Tensor::str() const { return std::string(name(dtype_)) + " " + shape_.str(); }

void Tensor::wrong_type(DType asked) const { fail(Failure::Run, "a tensor of {} was used as {}", str(), name(asked)); }

}  // namespace tandem
