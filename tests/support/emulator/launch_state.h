// Everything of the launch that runs; there is one at a time. Shared by the files that implement thread.h.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "tests/support/emulator/block.h"
#include "tests/support/emulator/fibers.h"
#include "tests/support/emulator/marks.h"
#include "tests/support/emulator/thread.h"

namespace tandem::emulator {

struct PendingCopy {
    std::byte* to;
    const std::byte* from;
    bool valid;
};

/// What the lanes of a warp do together.
enum class Collective : std::uint8_t { SyncWarp, Shuffle, Ballot, MatrixProduct, LoadMatrix };

struct Thread {
    const std::uint64_t* awaited = nullptr;  ///< goes on when this is no longer `seen`
    std::uint64_t seen = 0;
    const char* at = nullptr;  ///< what it waits at
    Place where;
    std::vector<std::vector<PendingCopy>> groups;  ///< of copies under way; the last one is still open

    [[nodiscard]] bool waits() const { return awaited != nullptr && *awaited == seen; }
};

struct Warp {
    static constexpr std::size_t kBytes = 32;
    using Given = std::array<std::array<std::byte, kBytes>, 32>;

    Collective what{};
    Place where;
    std::uint32_t arrived = 0;
    std::uint64_t generation = 0;
    std::uint32_t phase = 0;
    Given given[2];  ///< of this operation and the one before, which slower lanes may still look at
    struct Matrices {
        std::uint64_t generation = 0;  ///< 1 + that of the operation they are of
        float a[16][16], b[16][8];
    };
    Matrices matrices[2];
};

struct LaunchState {
    const Work* work = nullptr;
    Fibers fibers;
    std::byte* shared = nullptr;  ///< kSharedLimit bytes
    std::vector<Mark> shared_writer = std::vector<Mark>(kSharedLimit), shared_reader = std::vector<Mark>(kSharedLimit);
    std::vector<std::byte> arguments;
    std::vector<void*> addresses;
    Index block_at{}, thread_at{};
    int current = -1;
    Accessor who;
    const std::byte* stack = nullptr;  ///< the running thread's
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    int alive = 0;
    int at_barrier = 0;
    std::uint64_t barriers = 0;  ///< passed by this block
    Place barrier;
    std::uint32_t phase = kHostPhase;
    std::vector<std::pair<std::uint32_t, Index>> blocks;  ///< of this launch, with the phase each began with
    std::string fault;
    std::uint64_t launches = 0;
    std::mt19937 random{12345};

    LaunchState();
    Thread& thread() { return threads[static_cast<std::size_t>(current)]; }
    Warp& warp() { return warps[static_cast<std::size_t>(current / 32)]; }
    /// By the last one to come: threads go on in their order, not beginning with it.
    void let_others_go_on() { fibers.pause(); }
    /// When a thread gets its turn.
    void note_time() {
        who.phase = phase;
        who.warp_phase = warp().phase;
    }
    /// Until `counter` is no longer what it is.
    void wait(const std::uint64_t& counter, const char* at, const Place& where);
};

extern LaunchState& launch_state;

/// Every lane gives `bytes` bytes; each then sees those of all.
const Warp::Given& exchange(Collective what, unsigned mask, const void* mine, std::size_t bytes, const Place& where);

/// "elementwise.cu:41"
std::string text(const Place& where);

}  // namespace tandem::emulator
