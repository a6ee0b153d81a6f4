#include "src/io/convert.h"

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

}  // namespace tandem
