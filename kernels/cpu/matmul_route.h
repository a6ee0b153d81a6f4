// Which way a matrix product goes on this processor.
#pragma once

#include "kernels/cpu/gemv.h"
#include "kernels/cpu/onednn.h"

namespace tandem::cpu {

enum class Route : std::uint8_t {
    Gemv,     ///< a handful of rows
    Native,   ///< oneDNN multiplies these types
    Widened,  ///< a 16-bit type that oneDNN does not multiply here: bf16 on a processor without bf16 products, fp16 everywhere
};

[[nodiscard]] inline Route route_of(const Operand& a, const Operand& b) {
    if (gemv_applies(a, b)) return Route::Gemv;
    return a.x.dtype() == DType::F32 || (a.x.dtype() == DType::BF16 && onednn_has_bf16()) ? Route::Native : Route::Widened;
}

}  // namespace tandem::cpu
