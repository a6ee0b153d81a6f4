// What passes between the two compilers: .cpp files know tandem's types and check, .cu files know threads. nvcc sees
// philox.h of kernels/base and no more: it cannot parse the messages (fmt, evaluated while compiling) of the rest.
#pragma once

#include <cstdint>

#include "kernels/cuda/handles.h"

namespace tandem::cuda {

enum class Element : std::uint8_t { F32, BF16, F16 };

/// A tensor as a matrix: index i of the first dimension, element j of all others. What is contiguous comes as a single row.
struct Rows {
    void* data;
    Element type;
    std::int64_t stride;  ///< elements from row to row
};

struct Extent {
    std::int64_t rows, columns;
};

}  // namespace tandem::cuda
