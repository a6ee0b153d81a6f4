// What a kernel's thread can ask of the emulator while it runs. Only simt.cuh of the emulator uses this. What is defined here is
// compiled with the kernels, every access of it reported, so it has values only and no memory.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <type_traits>

namespace tandem::emulator {

struct Index {
    unsigned x, y, z;
};
Index thread_index();
Index block_index();
Index block_extent();
Index grid_extent();
int lane();

/// Where a kernel meets: threads that are to meet name the same place.
using Place = std::source_location;

void sync_block(const Place& where);
void sync_warp(unsigned mask, const Place& where);
unsigned ballot(unsigned mask, bool vote, const Place& where);
std::uint64_t shuffle_bits(unsigned mask, std::uint64_t x, int from, const Place& where);

template <class T>
T shuffle(unsigned mask, T x, int from, const Place& where) {
    static_assert((sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8) && std::is_trivially_copyable_v<T>);
    using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint16_t>>;
    return std::bit_cast<T>(static_cast<Bits>(shuffle_bits(mask, std::bit_cast<Bits>(x), from, where)));
}

/// The block's shared memory; `bytes` is what the kernel lays out in it.
void* shared_memory(std::size_t bytes);

/// Ends the launch with this message and the thread's place. Does not return.
[[noreturn]] void fault(const std::string& what);
[[noreturn]] void give_up();

/// The bits at x, and new ones, as one step that may meet other atomic ones.
std::uint64_t atomic_load(const void* x, std::size_t bytes);
void atomic_store(void* x, std::uint64_t bits, std::size_t bytes);

template <class T, class F>
T atomic(T* x, F change) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8);
    using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
    const T old = std::bit_cast<T>(static_cast<Bits>(atomic_load(x, sizeof(T))));
    atomic_store(x, std::bit_cast<Bits>(static_cast<T>(change(old))), sizeof(T));
    return old;
}

/// A lane's part of a matrix instruction's operands, and of its result.
enum class Half { BF16, F16 };
struct Fragments {
    float d[4];
    std::uint32_t a[4], b[2];
};
using Sums = std::array<float, 4>;
Sums matrix_product(Half type, const Fragments& mine, const Place& where);
using Words = std::array<std::uint32_t, 4>;
enum class Tile { AsStored, Transposed };
Words load_matrix(const void* row, Tile tile, const Place& where);

void start_copy(void* to, const void* from, bool valid);
void commit_copies();
void wait_copies(int pending);

}  // namespace tandem::emulator
