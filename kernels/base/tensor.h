// A non-owning typed view of memory. Whose memory it is, an Arena knows.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "kernels/base/dtype.h"

namespace tandem {

/// Up to four extents, outermost first.
class Shape {
public:
    static constexpr int kMaxDims = 4;
    Shape() = default;
    Shape(std::initializer_list<std::int64_t> extents) : Shape(std::span(extents.begin(), extents.size())) {}
    explicit Shape(std::span<const std::int64_t> extents);

    [[nodiscard]] int dims() const { return dims_; }
    [[nodiscard]] std::int64_t operator[](int i) const { return extents_.at(static_cast<std::size_t>(i)); }
    [[nodiscard]] std::int64_t elements() const;
    [[nodiscard]] std::span<const std::int64_t> extents() const { return {extents_.data(), static_cast<std::size_t>(dims_)}; }
    [[nodiscard]] std::string str() const;  ///< "[3, 5]"
    friend bool operator==(const Shape&, const Shape&) = default;

private:
    std::array<std::int64_t, kMaxDims> extents_{};
    int dims_ = 0;
};

/// View of `shape` elements of `dtype`. All dimensions but the first are contiguous; consecutive indices of the first
/// lie `row_stride` elements apart, so that column blocks of a matrix and rows of a fused buffer are views as well.
/// A default-constructed Tensor is "absent": ops say which operands may be.
class Tensor {
public:
    Tensor() = default;
    Tensor(void* data, DType dtype, Shape shape);
    Tensor(void* data, DType dtype, Shape shape, std::int64_t row_stride);

    [[nodiscard]] explicit operator bool() const { return data_ != nullptr; }
    [[nodiscard]] DType dtype() const { return dtype_; }
    [[nodiscard]] const Shape& shape() const { return shape_; }
    [[nodiscard]] int dims() const { return shape_.dims(); }
    [[nodiscard]] std::int64_t extent(int i) const { return shape_[i]; }
    [[nodiscard]] std::int64_t elements() const { return shape_.elements(); }
    [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype_); }
    [[nodiscard]] std::int64_t row_stride() const { return row_stride_; }
    [[nodiscard]] std::int64_t row_elements() const;  ///< elements of one index of the first dimension
    [[nodiscard]] bool contiguous() const { return dims() == 0 || row_stride_ == row_elements() || extent(0) <= 1; }
    [[nodiscard]] void* raw() const { return data_; }

    /// Typed pointer; throws if T is not the element type.
    template <class T>
    [[nodiscard]] T* data() const {
        if (dtype_ != dtype_of<T>()) wrong_type(dtype_of<T>());
        return static_cast<T*>(data_);
    }

    /// Indices [first, last) of the first dimension.
    [[nodiscard]] Tensor rows(std::int64_t first, std::int64_t last) const;
    /// Columns [first, last) of a matrix.
    [[nodiscard]] Tensor columns(std::int64_t first, std::int64_t last) const;
    /// Same elements, other shape. A non-contiguous view keeps its first extent (so [N, H*D] <-> [N, H, D] works).
    [[nodiscard]] Tensor reshape(Shape shape) const;
    [[nodiscard]] std::string str() const;  ///< "bf16 [3, 5]"

private:
    [[noreturn]] void wrong_type(DType asked) const;
    void* data_ = nullptr;
    DType dtype_ = DType::F32;
    Shape shape_;
    std::int64_t row_stride_ = 0;
};

}  // namespace tandem
