// Names and checksum of the token file, for its reader and its writer. Private to src/data.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "src/io/hash.h"
#include "src/io/hdf5_file.h"

namespace tandem::token_file_layout {

inline constexpr std::string_view kContent = "tandem tokens";
inline constexpr std::int64_t kVersion = 1;
inline constexpr const char* kIds = "ids";
inline constexpr const char* kLabels = "labels";
inline constexpr const char* kOffsets = "offsets";
inline constexpr const char* kTrained = "trained";
inline constexpr std::size_t kBlockBytes = std::size_t{1} << 20U;

inline std::string checksum(const Hash128& ids, const Hash128& labels, std::span<const std::int64_t> offsets,
                            std::span<const std::int32_t> trained, std::string_view key, std::string_view report) {
    Hasher hasher;
    hasher.update(ids.str());
    hasher.update(labels.str());
    hasher.update(std::as_bytes(offsets));
    hasher.update(std::as_bytes(trained));
    hasher.update(key);
    hasher.update(report);
    return hasher.digest().str();
}

}  // namespace tandem::token_file_layout
