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

void does_not_hold(std::string_view tensor, std::int64_t index, double value, DType dtype, std::string_view option) {
    const std::string_view wider = dtype == DType::F16 ? "bf16 or fp32" : dtype == DType::BF16 ? "fp32" : "";
    fail(Failure::Input, "{}: element {} is {}, which {} does not hold{}", tensor, index, value, name(dtype),
         wider.empty() ? "" : fmt::format("; use {} {}", option, wider));
}

void refuse_stored(std::string_view tensor, std::int64_t index, double value, DType dtype, std::string_view option) {
    if (std::isfinite(value)) does_not_hold(tensor, index, value, dtype, option);
    fail(Failure::Input, "{} has a non-finite element at index {}: the file is damaged", tensor, index);
}

}  // namespace tandem
