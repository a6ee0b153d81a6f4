// Operands of ops as kernels take them.
#pragma once

#include <array>
#include <string_view>

#include "kernels/base/tensor.h"
#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

/// The device's type of x's elements. Throws Run, naming op and operand, for what it does not compute in.
inline Element element(std::string_view op, const Tensor& x) {
    switch (x.dtype()) {
        case DType::F32: return Element::F32;
        case DType::BF16: return Element::BF16;
        case DType::F16: return Element::F16;
        default: fail(Failure::Run, "{}: the cuda backend computes in fp32, bf16 and fp16, not in {}", op, x.str());
    }
}

/// The operands of one elementwise call: as a single row where all are contiguous.
template <std::size_t N>
struct Operands {
    Operands(std::string_view op, const std::array<Tensor, N>& tensors) {
        const Tensor& first = tensors[0];
        bool contiguous = true;
        for (const Tensor& x : tensors) contiguous = contiguous && x.contiguous();
        if (contiguous) extent = {1, first.elements()};
        else extent = {first.extent(0), first.row_elements()};
        for (std::size_t i = 0; i < N; ++i) {
            const Tensor& x = tensors[i];
            rows[i] = {x.raw(), element(op, x), x.contiguous() ? extent.columns : x.row_stride()};
        }
    }
    Extent extent{};
    std::array<Rows, N> rows{};
};

/// A matrix operand, [n, ...], row by row.
inline Rows rows(std::string_view op, const Tensor& x) {
    return {x.raw(), element(op, x), x.contiguous() ? x.row_elements() : x.row_stride()};
}
inline Extent extent_of(const Tensor& x) { return {x.extent(0), x.row_elements()}; }

}  // namespace tandem::cuda
