#include "src/io/hash.h"

#include <xxhash.h>

#include <algorithm>
#include <new>
#include <vector>

#include "kernels/base/error.h"
#include "src/io/files.h"

namespace tandem {

std::string Hash128::str() const { return fmt::format("{:016x}{:016x}", high, low); }

void Hasher::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

Hasher::Hasher() : state_(XXH3_createState()) {
    if (state_ == nullptr) throw std::bad_alloc();
    require(XXH3_128bits_reset(state_.get()) == XXH_OK, "XXH3_128bits_reset failed");
}

void Hasher::update(std::span<const std::byte> bytes) {
    require(XXH3_128bits_update(state_.get(), bytes.data(), bytes.size()) == XXH_OK, "XXH3_128bits_update of {} bytes failed",
            bytes.size());
}

Hash128 Hasher::digest() const {
    const auto h = XXH3_128bits_digest(state_.get());
    return {h.high64, h.low64};
}

Hash128 hash128(std::span<const std::byte> bytes) {
    const auto h = XXH3_128bits(bytes.data(), bytes.size());
    return {h.high64, h.low64};
}

std::uint64_t hash64(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

Hash128 hash_file(const std::filesystem::path& file) {
    const RandomAccessFile in(file);
    std::vector<std::byte> buffer(std::size_t{1} << 20U);
    Hasher hasher;
    for (std::uint64_t at = 0; at < in.size();) {
        const auto n = std::min<std::uint64_t>(buffer.size(), in.size() - at);
        in.read(at, std::span(buffer).first(n));
        hasher.update(std::span<const std::byte>(buffer).first(n));
        at += n;
    }
    return hasher.digest();
}

}  // namespace tandem
