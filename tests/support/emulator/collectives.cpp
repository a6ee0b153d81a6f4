// Where the threads of a block or the lanes of a warp meet.
#include <fmt/format.h>

#include <cstring>

#include "kernels/base/dtype.h"
#include "tests/support/emulator/access.h"
#include "tests/support/emulator/launch_state.h"

namespace tandem::emulator {

namespace {

const char* name(Collective what) {
    switch (what) {
        case Collective::SyncWarp: return "__syncwarp";
        case Collective::Shuffle: return "a shuffle";
        case Collective::Ballot: return "a vote";
        case Collective::MatrixProduct: return "mma";
        default: return "ldmatrix";
    }
}

bool same(const Place& a, const Place& b) {
    return a.line() == b.line() && (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

template <class T>
T read(const std::byte* from) {
    T x;
    std::memcpy(&x, from, sizeof x);
    return x;
}

/// The lower (half 0) or upper number of a pair.
float number(Half type, std::uint32_t pair, int half) {
    const auto bits = static_cast<std::uint16_t>(half == 0 ? pair : pair >> 16U);
    return type == Half::BF16 ? static_cast<float>(std::bit_cast<BFloat16>(bits)) : static_cast<float>(std::bit_cast<Float16>(bits));
}

}  // namespace

void LaunchState::wait(const std::uint64_t& counter, const char* at, const Place& where) {
    Thread& own = thread();
    own.awaited = &counter;
    own.seen = counter;
    own.at = at;
    own.where = where;
    fibers.pause();
    own.awaited = nullptr;
}

void sync_block(const Place& where) {
    LaunchState& s = launch_state;
    if (s.at_barrier == 0) s.barrier = where;
    if (!same(s.barrier, where))
        fault(fmt::format("the barrier at {} while other threads are at the one at {}", text(where), text(s.barrier)));
    // Threads that have ended do not count on hardware; here all must come, for a barrier that some never reach is an error.
    if (++s.at_barrier < static_cast<int>(s.threads.size())) return s.wait(s.barriers, "__syncthreads", where);
    s.at_barrier = 0;
    ++s.barriers;
    ++s.phase;
    s.let_others_go_on();
}

const Warp::Given& exchange(Collective what, unsigned mask, const void* mine, std::size_t bytes, const Place& where) {
    LaunchState& s = launch_state;
    Warp& warp = s.warp();
    if (mask != 0xffffffffU) fault(fmt::format("{} at {} of a part of a warp: the emulator has whole warps only", name(what), text(where)));
    if (warp.arrived == 0) {
        warp.what = what;
        warp.where = where;
    }
    if (warp.what != what || !same(warp.where, where))
        fault(fmt::format("{} at {} while other lanes of the warp are at {} at {}", name(what), text(where), name(warp.what),
                          text(warp.where)));
    Warp::Given& given = warp.given[warp.generation % 2];
    std::memcpy(given[static_cast<std::size_t>(lane())].data(), mine, bytes);
    if (++warp.arrived < 32) {
        s.wait(warp.generation, name(what), where);
        return given;
    }
    warp.arrived = 0;
    ++warp.generation;
    if (what == Collective::SyncWarp) ++warp.phase;
    s.let_others_go_on();
    return given;
}

void sync_warp(unsigned mask, const Place& where) { exchange(Collective::SyncWarp, mask, "", 0, where); }

unsigned ballot(unsigned mask, bool vote, const Place& where) {
    const Warp::Given& all = exchange(Collective::Ballot, mask, &vote, 1, where);
    unsigned votes = 0;
    for (unsigned l = 0; l < 32; ++l)
        if (all[l][0] != std::byte{0}) votes |= 1U << l;
    return votes;
}

std::uint64_t shuffle_bits(unsigned mask, std::uint64_t x, int from, const Place& where) {
    if (from < 0 || from >= 32) fault(fmt::format("a shuffle at {} reads lane {}", text(where), from));
    return read<std::uint64_t>(exchange(Collective::Shuffle, mask, &x, sizeof x, where)[static_cast<std::size_t>(from)].data());
}

namespace {

/// The two matrices whose fragments the lanes gave.
void assemble(Half type, const Warp::Given& all, Warp::Matrices& to) {
    for (int from = 0; from < 32; ++from) {
        const std::byte* given = all[static_cast<std::size_t>(from)].data();
        const int g = from / 4, t = from % 4;
        for (int half = 0; half < 2; ++half) {
            for (int i = 0; i < 4; ++i)
                to.a[g + i % 2 * 8][2 * t + i / 2 * 8 + half] = number(type, read<std::uint32_t>(given + 4 * i), half);
            for (int i = 0; i < 2; ++i) to.b[2 * t + 8 * i + half][g] = number(type, read<std::uint32_t>(given + 16 + 4 * i), half);
        }
    }
}

}  // namespace

Sums matrix_product(Half type, const Fragments& mine, const Place& where) {
    static_assert(sizeof mine.a + sizeof mine.b <= Warp::kBytes);
    std::uint32_t operands[6];
    std::memcpy(operands, mine.a, sizeof mine.a);
    std::memcpy(operands + 4, mine.b, sizeof mine.b);
    Warp& warp = launch_state.warp();
    const std::uint64_t generation = warp.generation;
    const Warp::Given& all = exchange(Collective::MatrixProduct, 0xffffffffU, operands, sizeof operands, where);
    Warp::Matrices& x = warp.matrices[generation % 2];
    if (x.generation != generation + 1) {  // the first lane to get here does it for all
        assemble(type, all, x);
        x.generation = generation + 1;
    }
    const int g = lane() / 4, t = lane() % 4;
    Sums d{};
    for (int i = 0; i < 4; ++i) {
        float sum = mine.d[i];
        for (int k = 0; k < 16; ++k) sum += x.a[g + i / 2 * 8][k] * x.b[k][2 * t + i % 2];
        d[static_cast<std::size_t>(i)] = sum;
    }
    return d;
}

Words load_matrix(const void* row, Tile tile, const Place& where) {
    if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) fault("ldmatrix: a row that is not aligned to 16 bytes");
    if (!in_shared_memory(row)) fault("ldmatrix: a row that is not in shared memory");
    access(row, 16, Access::Read);
    // The rows' bytes, for a lane that is faster may write there again.
    const Warp::Given& all = exchange(Collective::LoadMatrix, 0xffffffffU, row, 16, where);
    Words r{};
    for (int i = 0; i < 4; ++i) {
        const auto element = [&](int of_row, int column) {
            return std::uint32_t{read<std::uint16_t>(all[static_cast<std::size_t>(8 * i + of_row)].data() + 2 * column)};
        };
        const int q = lane() / 4, pair = 2 * (lane() % 4);
        r[static_cast<std::size_t>(i)] =
            tile == Tile::Transposed ? element(pair, q) | element(pair + 1, q) << 16U : element(q, pair) | element(q, pair + 1) << 16U;
    }
    return r;
}

}  // namespace tandem::emulator
