// Quantities as people read them.
#pragma once

#include <cstddef>
#include <string>

namespace tandem {

[[nodiscard]] std::string human_bytes(std::size_t bytes);  ///< "1.50 GiB", "266.0 MiB", "1.0 KiB"
[[nodiscard]] std::string human_duration(double seconds);  ///< "2 h 05 min", "1 min 09 s", "7 s"

}  // namespace tandem
