// XXH3 (https://xxhash.com), 128 bits: fast fingerprints of files and tensors, stable across machines. Not cryptographic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct XXH3_state_s;

namespace tandem {

struct Hash128 {
    std::uint64_t high = 0, low = 0;
    [[nodiscard]] std::string str() const;  ///< 32 hexadecimal digits, high first (what `xxhsum -H2` prints)
    friend bool operator==(const Hash128&, const Hash128&) = default;
};

/// Bytes in pieces; the pieces' sizes do not matter.
class Hasher {
public:
    Hasher();
    void update(std::span<const std::byte> bytes);
    void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
    [[nodiscard]] Hash128 digest() const;  ///< of everything so far

private:
    struct Free {
        void operator()(XXH3_state_s* state) const;
    };
    std::unique_ptr<XXH3_state_s, Free> state_;
};

[[nodiscard]] Hash128 hash128(std::span<const std::byte> bytes);
/// XXH3-64 of one buffer: the checksum of a checkpoint's tensors.
[[nodiscard]] std::uint64_t hash64(std::span<const std::byte> bytes);
/// Of a whole file, in pieces of 1 MiB. Errors as RandomAccessFile's.
[[nodiscard]] Hash128 hash_file(const std::filesystem::path& file);

}  // namespace tandem
