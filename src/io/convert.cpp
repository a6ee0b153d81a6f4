#include "src/io/convert.h"

#include <cmath>
#include <cstring>

namespace tandem {

void convert_elements(DType from, const void* in, DType to, void* out, std::size_t n) {
    if (n == 0) return;
    if (from == to) {
        std::memcpy(out, in, n * size_of(from));
        return;
    }
    dispatch_float(from, [&](auto source_tag) {
        using Source = typename decltype(source_tag)::type;
        dispatch_float(to, [&](auto target_tag) {
            using Target = typename decltype(target_tag)::type;
            const auto* bytes = static_cast<const std::byte*>(in);
            auto* target = static_cast<Target*>(out);
            for (std::size_t i = 0; i < n; ++i) {
                Source x;
                std::memcpy(&x, bytes + i * sizeof(Source), sizeof(Source));
                target[i] = static_cast<Target>(static_cast<float>(x));  // exact unless Source is double: 16-bit types widen to float
            }
        });
    });
}

std::int64_t first_non_finite(DType dtype, const std::byte* data, std::int64_t n) {
    return dispatch_float(dtype, [&](auto tag) -> std::int64_t {
        using T = typename decltype(tag)::type;
        const auto* x = reinterpret_cast<const T*>(data);
        for (std::int64_t i = 0; i < n; ++i) {
            if constexpr (std::is_same_v<T, double>) {
                if (!std::isfinite(x[i])) return i;
            } else {
                if (!std::isfinite(static_cast<float>(x[i]))) return i;
            }
        }
        return -1;
    });
}

}  // namespace tandem
