// Sums over ranks in rank order: the arithmetic of reductions, apart from how the parts got here.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/base/dtype.h"

namespace tandem {

/// out[i] = parts[0][i] + parts[1][i] + ..., added in that order; 16-bit types are added in fp32 and rounded once, at the end.
/// `out` may be one of the parts. Throws for uint8, whose sums would overflow.
void ordered_sum(DType dtype, std::span<const std::byte* const> parts, std::byte* out, std::size_t count);

}  // namespace tandem
