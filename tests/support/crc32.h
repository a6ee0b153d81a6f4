// CRC-32 as Python's zlib.crc32: what golden files of large tensors hold in their place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tandem::test {

inline std::uint32_t crc32(std::span<const std::byte> bytes) {
    std::uint32_t crc = 0xFFFFFFFFU;
    for (const std::byte b : bytes) {
        crc ^= std::to_integer<std::uint32_t>(b);
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
    }
    return ~crc;
}

}  // namespace tandem::test
