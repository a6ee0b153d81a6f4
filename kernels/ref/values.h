// Elements as doubles: every reference op loads, computes in double, and rounds once when it stores.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/base/tensor.h"

namespace tandem::ref {

/// The nearest T, ties to even, in a single rounding.
template <class T>
T round_to(double value) {
    if constexpr (std::is_same_v<T, double> || std::is_same_v<T, float>) {
        return static_cast<T>(value);
    } else {
        // By way of a float rounded to odd: it has enough bits beyond T's that the second rounding sees every tie as it is.
        auto nearest = static_cast<float>(value);
        if (std::isfinite(value) && static_cast<double>(nearest) != value) {
            if (std::abs(static_cast<double>(nearest)) > std::abs(value)) nearest = std::nextafter(nearest, 0.0F);
            nearest = std::bit_cast<float>(std::bit_cast<std::uint32_t>(nearest) | 1U);
        }
        return T(nearest);
    }
}

template <class T>
double load(const T& x) {
    if constexpr (std::is_same_v<T, double> || std::is_same_v<T, float>) return static_cast<double>(x);
    else return static_cast<double>(static_cast<float>(x));
}

/// A tensor as a matrix: index i of the first dimension, element j of all others.
template <class T>
class View {
public:
    explicit View(const Tensor& x)
        : data_(x ? x.data<T>() : nullptr),
          stride_(x.row_stride()),
          rows_(x.dims() == 0 ? 1 : x.extent(0)),
          columns_(x ? x.row_elements() : 0) {}

    [[nodiscard]] std::int64_t rows() const { return rows_; }
    [[nodiscard]] std::int64_t columns() const { return columns_; }
    T& at(std::int64_t i, std::int64_t j = 0) const { return data_[i * stride_ + j]; }
    double operator()(std::int64_t i, std::int64_t j = 0) const { return load(at(i, j)); }
    void set(std::int64_t i, std::int64_t j, double value) const { at(i, j) = round_to<T>(value); }
    void add(std::int64_t i, std::int64_t j, double value) const { set(i, j, (*this)(i, j) + value); }

private:
    T* data_;
    std::int64_t stride_, rows_, columns_;
};

template <class T>
using Accumulation = std::conditional_t<std::is_same_v<T, double>, double, float>;

/// Calls f with T{} for the floating-point type of x.
template <class F>
void with_type(const Tensor& x, F&& f) {
    dispatch_float(x.dtype(), [&](auto tag) { f(typename decltype(tag)::type{}); });
}

/// Index i of an int32 vector, checked to be in [0, end).
inline std::int64_t index_below(std::string_view op, std::string_view name, const Tensor& indices, std::int64_t i, std::int64_t end) {
    const std::int64_t index = indices.data<std::int32_t>()[i];
    if (index < 0 || index >= end) fail(Failure::Run, "{}: {}[{}] is {}, outside [0, {})", op, name, i, index, end);
    return index;
}

/// The same, or -1: what is asked for lies in another rank's part.
inline std::int64_t index_or_elsewhere(std::string_view op, std::string_view name, const Tensor& indices, std::int64_t i,
                                       std::int64_t end) {
    return indices.data<std::int32_t>()[i] == -1 ? -1 : index_below(op, name, indices, i, end);
}

}  // namespace tandem::ref
