#include "parallel/ordered_sum.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace tandem {
namespace {

/// The elements that are summed at a time stay in the first-level cache.
constexpr std::size_t kBlock = 2048;

template <class T, class Sum>
void sum_blocks(std::span<const std::byte* const> parts, std::byte* out, std::size_t count) {
    std::array<T, kBlock> part;
    std::array<Sum, kBlock> sum;
    for (std::size_t first = 0; first < count; first += kBlock) {
        const std::size_t n = std::min(kBlock, count - first);
        for (std::size_t r = 0; r < parts.size(); ++r) {
            std::memcpy(part.data(), parts[r] + first * sizeof(T), n * sizeof(T));
            if (r == 0) {
                for (std::size_t i = 0; i < n; ++i) sum[i] = static_cast<Sum>(part[i]);
            } else {
                for (std::size_t i = 0; i < n; ++i) sum[i] += static_cast<Sum>(part[i]);
            }
        }
        for (std::size_t i = 0; i < n; ++i) part[i] = static_cast<T>(sum[i]);
        std::memcpy(out + first * sizeof(T), part.data(), n * sizeof(T));
    }
}

}  // namespace

void ordered_sum(DType dtype, std::span<const std::byte* const> parts, std::byte* out, std::size_t count) {
    switch (dtype) {
        case DType::F64: return sum_blocks<double, double>(parts, out, count);
        case DType::F32: return sum_blocks<float, float>(parts, out, count);
        case DType::BF16: return sum_blocks<BFloat16, float>(parts, out, count);
        case DType::F16: return sum_blocks<Float16, float>(parts, out, count);
        case DType::I64: return sum_blocks<std::int64_t, std::uint64_t>(parts, out, count);
        case DType::I32: return sum_blocks<std::int32_t, std::uint32_t>(parts, out, count);
        case DType::U8: break;
    }
    fail(Failure::Run, "{} values are not summed over ranks", name(dtype));
}

}  // namespace tandem
