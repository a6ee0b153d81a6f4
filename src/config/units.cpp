#include "src/config/units.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

namespace tandem {

std::string human_duration(double seconds) {
    const auto s = static_cast<std::int64_t>(std::llround(seconds));
    if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
    if (s >= 60) return fmt::format("{} min {:02} s", s / 60, s % 60);
    return fmt::format("{} s", s);
}

std::string human_bytes(std::size_t bytes) {
    const auto b = static_cast<double>(bytes);
    if (b >= 0x1p30) return fmt::format("{:.2f} GiB", b / 0x1p30);
    if (b >= 0x1p20) return fmt::format("{:.1f} MiB", b / 0x1p20);
    return fmt::format("{:.1f} KiB", b / 0x1p10);
}

}  // namespace tandem
