// Every numerical tolerance of the op tests, with its reason: one table, so that a loosened bound is seen.
#pragma once

#include <limits>
#include <string_view>

#include "kernels/base/dtype.h"

namespace tandem::test {

/// Two results a (tested), b (reference) agree when |a - b| <= bound * (|b| + rms(b)) for every element, or
/// |a - b| <= floor(type) for results that are mathematically zero.
struct Tolerance {
    std::string_view op;  ///< "" = every op not named
    DType compute;
    double bound;
    std::string_view reason;
};

/// Distance from 1 to the next number of the type.
inline double epsilon(DType t) {
    switch (t) {
        case DType::F64: return 0x1p-52;
        case DType::F32: return 0x1p-23;
        case DType::F16: return 0x1p-10;
        default: return 0x1p-7;
    }
}

inline double floor_of(DType t) { return 8.0 * epsilon(accumulation_type(t)); }

/// First match wins.
inline constexpr Tolerance kConformance[] = {
    {"quantization", DType::F32, 0.0, "the bits are the definition (tests/kernels/test_quantization.cpp compares them as such)"},
    {"quantization", DType::BF16, 0.0, "as in fp32"},
    {"quantization", DType::F16, 0.0, "as in fp32"},
    {"attention", DType::F32, 2e-5, "exp and the online softmax's rescaling in fp32; D_i cancels against do.v"},
    {"", DType::F32, 1e-5, "fp32 sums of up to 300 terms in any order and functions of a few ulp, against double"},
    {"attention", DType::BF16, 0x1p-5,
     "p and ds are rounded to bf16 before the next product (2^-9 each): o is off by an ulp, D_i sums that"},
    {"linear", DType::BF16, 0x1p-6, "u and t may differ by one rounding, then so may their products"},
    {"rmsnorm", DType::BF16, 0x1p-6, "two roundings in a row, each of which may fall on the other side of a tie"},
    {"", DType::BF16, 0x1p-7, "fp32 and double sums may round to either side of a tie: one ulp"},
    {"attention", DType::F16, 0x1p-8, "as in bf16"},
    {"linear", DType::F16, 0x1p-9, "as in bf16"},
    {"", DType::F16, 0x1p-10, "as in bf16: one ulp"},
    {"", DType::F64, 1e-12, "double against double, sums reordered"},
};

/// Finite differences (fourth-order central, step 1e-3) against the analytic gradient, fp64.
inline constexpr double kGradient = 1e-7;
inline constexpr double kGradientFloor = 1e-9;  ///< rounding of losses of a few hundred, divided by the step

/// Reference in a type against reference in fp64, in epsilons of the type: a few roundings in a row (o, then D_i, then dq); more where
/// scores are large.
inline constexpr double kPrecision = 5.0;

/// The row for an operand of type `operand` of an op that runs in `compute`. Results kept wider than the compute type are held
/// to the wider type's bound, unless the op has a row of its own because it rounds on the way.
inline const Tolerance& conformance(std::string_view op, DType compute, DType operand) {
    const auto find = [op](DType type) -> const Tolerance& {
        for (const auto& t : kConformance)
            if (t.compute == type && (t.op.empty() || t.op == op)) return t;
        fail(Failure::Run, "no tolerance for {} in {}", op, name(type));
    };
    const Tolerance& own = find(compute);
    return operand == compute || !own.op.empty() ? own : find(accumulation_type(compute));
}

}  // namespace tandem::test
