// Element conversion on the host, where files and memory differ in type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernels/base/dtype.h"

namespace tandem {

/// n elements of floating-point `from` at `in` to `to` at `out`, rounded to nearest even once per narrowing to 16 bits (fp64
/// goes through fp32, as torch does). Equal types of any kind are copied. `in` need not be aligned. No overlap.
void convert_elements(DType from, const void* in, DType to, void* out, std::size_t n);

/// Index of the first of n floating-point elements that is not finite, or -1.
[[nodiscard]] std::int64_t first_non_finite(DType dtype, const std::byte* data, std::int64_t n);

/// Throws Input: element `index` of `tensor` ("merged tensor 'x'") would not be finite in `dtype`. `option` ("--dtype") is what chose that
/// type, where a wider one could be chosen.
[[noreturn]] void does_not_hold(std::string_view tensor, std::int64_t index, double value, DType dtype, std::string_view option);
/// The same of an element `value` of a file, which is damaged where that is not finite itself.
[[noreturn]] void refuse_stored(std::string_view tensor, std::int64_t index, double value, DType dtype, std::string_view option);

}  // namespace tandem
