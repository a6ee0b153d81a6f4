// What a kernel's thread can ask of the emulator while it runs. Only simt.cuh of the emulator uses this; everything here may be
// called from code that is instrumented, and is itself not.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace tandem::emulator {

struct Index {
    unsigned x, y, z;
};
Index thread_index();
Index block_index();
Index block_extent();
Index grid_extent();
int lane();

void sync_block();
void sync_warp(unsigned mask);
/// The block's shared memory; `bytes` is what the kernel lays out in it.
void* shared_memory(std::size_t bytes);

/// Ends the launch with this message and the thread's place. Does not return.
[[noreturn]] void fault(const std::string& what);
[[noreturn]] void give_up();

enum class Collective { SyncWarp, Shuffle, Ballot, MatrixInstruction, LoadMatrix };
/// All lanes of `mask` give `bytes` bytes; each gets what lane l gave at result[l].
inline constexpr std::size_t kExchangeBytes = 32;
using Exchanged = std::array<std::array<std::byte, kExchangeBytes>, 32>;
const Exchanged& exchange(Collective what, unsigned mask, const void* mine, std::size_t bytes);
/// A copy that is not reported: what was exchanged is no memory of the device, and templates here are compiled into kernels.
void take(const std::byte* from, void* to, std::size_t bytes);

template <class T>
T shuffle(unsigned mask, T x, int from) {
    static_assert(sizeof(T) <= 8);
    if ((mask >> static_cast<unsigned>(from) & 1U) == 0) fault("a shuffle reads a lane that does not take part");
    const Exchanged& all = exchange(Collective::Shuffle, mask, &x, sizeof(T));
    T result;
    take(all[static_cast<std::size_t>(from)].data(), &result, sizeof(T));
    return result;
}
unsigned ballot(unsigned mask, bool vote);

/// As the instrumentation reports accesses.
void access(const void* address, std::size_t bytes, bool write);
/// An access that may meet other atomic ones.
void atomic_access(const void* address, std::size_t bytes);

template <class T, class F>
T atomic(T* x, F change) {
    atomic_access(x, sizeof(T));
    const T old = *x;
    *x = change(old);
    return old;
}

template <class Value>
void matrix_instruction(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], Value value) {
    std::uint32_t mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    const Exchanged& all = exchange(Collective::MatrixInstruction, 0xffffffffU, mine, sizeof mine);
    const auto word = [&](int from, int which) {
        std::uint32_t w = 0;
        take(all[static_cast<std::size_t>(from)].data() + 4 * which, &w, 4);
        return w;
    };
    const int g = lane() / 4, t = lane() % 4;
    for (int i = 0; i < 4; ++i) {
        const int upper = i / 2, column = 2 * t + i % 2;  // row g or g + 8
        for (int k = 0; k < 16; ++k) {
            const int pair = k % 8 / 2, half = k % 2;
            const float x = value(word(4 * g + pair, upper + (k < 8 ? 0 : 2)), half);
            const float y = value(word(4 * column + pair, 4 + (k < 8 ? 0 : 1)), half);
            d[i] += x * y;
        }
    }
}
void load_matrix(std::uint32_t (&r)[4], const void* row, bool transposed);

void start_copy(void* to, const void* from, bool valid);
void commit_copies();
void wait_copies(int pending);

}  // namespace tandem::emulator
