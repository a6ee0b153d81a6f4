#include "tests/support/emulator/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/support/emulator/fibers.h"
#include "tests/support/emulator/image.h"
#include "tests/support/emulator/shared_shadow.h"

namespace tandem::emulator {

namespace {

struct PendingCopy {
    std::byte* to;
    const std::byte* from;
    bool valid;
};

struct Thread {
    bool at_barrier = false;
    std::vector<std::vector<PendingCopy>> groups;  ///< of copies under way; the last one is still open
};

struct Warp {
    Collective what{};
    std::uint32_t arrived = 0;
    unsigned mask = 0;
    std::uint64_t generation = 0;
    std::uint32_t phase = 0;
    Exchanged slots[2];
};

/// Everything of the launch that runs; there is one at a time.
struct State {
    const Work* work = nullptr;
    Fibers fibers;
    SharedShadow shadow;
    std::vector<std::byte> shared = std::vector<std::byte>(kSharedLimit + 128);
    std::vector<std::byte> arguments;
    std::vector<void*> addresses;
    Index block_at{}, thread_at{};
    std::uint32_t block_number = 0;
    int current = -1;
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    int at_barrier = 0, alive = 0;
    std::uint32_t block_phase = 0;
    std::uint64_t progress = 0;
    std::string fault;
    std::uint32_t launch = 0;
    std::mt19937 random{12345};

    [[nodiscard]] std::byte* shared_base() {
        auto base = reinterpret_cast<std::uintptr_t>(shared.data());
        return shared.data() + (128 - base % 128) % 128;
    }
    Thread& thread() { return threads[static_cast<std::size_t>(current)]; }
    Warp& warp() { return warps[static_cast<std::size_t>(current / 32)]; }
    [[nodiscard]] Accessor accessor() { return {launch, block_number, static_cast<std::uint32_t>(current), block_phase, warp().phase}; }
};

State& state() {
    static State one;
    return one;
}

void wait_until(const auto& condition) {
    while (!condition()) state().fibers.pause();
}

void check(const std::string& wrong, const void* address, std::size_t bytes, bool write) {
    if (!wrong.empty()) fault(fmt::format("{} of {} bytes at {}: {}", write ? "a write" : "a read", bytes, address, wrong));
}

std::string stuck(State& s) {
    int waiting = 0, ended = 0;
    for (std::size_t i = 0; i < s.threads.size(); ++i) {
        if (s.fibers.ended(static_cast<int>(i))) ++ended;
        else if (s.threads[i].at_barrier) ++waiting;
    }
    return fmt::format("{} threads wait at a barrier of the block, {} in a warp operation, and {} have ended: they wait for ever", waiting,
                       static_cast<int>(s.threads.size()) - waiting - ended, ended);
}

void run_block(State& s, Order order) {
    const int count = static_cast<int>(s.work->block.x);
    s.threads.assign(static_cast<std::size_t>(count), {});
    s.warps.assign(static_cast<std::size_t>((count + 31) / 32), {});
    s.at_barrier = 0;
    s.alive = count;
    s.block_phase = 0;
    s.shadow.reset(s.work->shared_bytes);
    s.fibers.start(count, [&s](int) { s.work->invoke(s.work->kernel, s.addresses.data()); });
    std::vector<int> turns(static_cast<std::size_t>(count));
    std::iota(turns.begin(), turns.end(), 0);
    if (order == Order::Backward) std::ranges::reverse(turns);
    while (s.alive > 0 && s.fault.empty()) {
        if (order == Order::Shuffled) std::ranges::shuffle(turns, s.random);
        const std::uint64_t before = s.progress;
        for (const int i : turns) {
            if (s.fibers.ended(i)) continue;
            s.current = i;
            s.thread_at = {static_cast<unsigned>(i), 0, 0};
            s.fibers.resume(i);
            if (!s.fault.empty()) return;
            if (s.fibers.ended(i)) {
                --s.alive;
                ++s.progress;
            }
        }
        if (s.progress == before && s.alive > 0) s.fault = fmt::format("{}: block {}: {}", s.work->name, s.block_number, stuck(s));
    }
}

void copy_now(const PendingCopy& copy) {
    if (copy.valid) access(copy.from, 16, false);
    access(copy.to, 16, true);
    if (copy.valid) std::memcpy(copy.to, copy.from, 16);
    else std::memset(copy.to, 0, 16);
}

}  // namespace

std::string run(const Work& work, Order order) {
    State& s = state();
    const std::size_t threads = work.block.x;
    if (threads == 0 || threads > 1024 || threads % 32 != 0) return fmt::format("{}: a block of {} threads", work.name, threads);
    if (work.shared_bytes > kSharedLimit)
        return fmt::format("{}: {} bytes of shared memory a block, {} are there on every card", work.name, work.shared_bytes, kSharedLimit);
    s.work = &work;
    s.arguments = work.arguments;
    s.addresses.clear();
    for (const std::size_t place : work.argument_places) s.addresses.push_back(s.arguments.data() + place);
    s.fault.clear();
    ++s.launch;
    const Memory::Open open(memory());
    for (unsigned z = 0; z < work.grid.z; ++z)
        for (unsigned y = 0; y < work.grid.y; ++y)
            for (unsigned x = 0; x < work.grid.x && s.fault.empty(); ++x) {
                s.block_at = {x, y, z};
                s.block_number = (z * work.grid.y + y) * work.grid.x + x;
                run_block(s, order);
            }
    s.current = -1;
    s.work = nullptr;
    return s.fault;
}

bool running() { return state().current >= 0; }
std::uint64_t launches_run() { return state().launch; }

Index thread_index() { return state().thread_at; }
Index block_index() { return state().block_at; }
Index block_extent() { return state().work->block; }
Index grid_extent() { return state().work->grid; }
int lane() { return state().current % 32; }

void fault(const std::string& what) {
    State& s = state();
    s.fault = fmt::format("{}: block {} {} {}, thread {}: {}", s.work->name, s.block_at.x, s.block_at.y, s.block_at.z, s.current, what);
    s.fibers.leave();
}

void give_up() { fault("the kernel gave up"); }

void* shared_memory(std::size_t bytes) {
    State& s = state();
    if (bytes > s.work->shared_bytes)
        fault(fmt::format("{} bytes of shared memory are used, the launch gave {}", bytes, s.work->shared_bytes));
    return s.shared_base();
}

void sync_block() {
    State& s = state();
    Thread& own = s.thread();
    own.at_barrier = true;
    const std::uint32_t phase = s.block_phase;
    // Threads that have ended do not count on hardware; here all must come, for a barrier that some never reach is an error.
    if (++s.at_barrier == static_cast<int>(s.threads.size())) {
        s.at_barrier = 0;
        ++s.block_phase;
        ++s.progress;
    }
    wait_until([&] { return s.block_phase != phase; });
    own.at_barrier = false;
}

const Exchanged& exchange(Collective what, unsigned mask, const void* mine, std::size_t bytes) {
    State& s = state();
    Warp& warp = s.warp();
    const std::uint32_t bit = 1U << static_cast<unsigned>(lane());
    if (mask != 0xffffffffU) fault("a warp operation of a part of a warp: the emulator has whole warps only");
    if (warp.arrived == 0) warp.what = what;
    if (warp.what != what) fault("the lanes of a warp are at different warp operations");
    const std::uint64_t generation = warp.generation;
    Exchanged& slots = warp.slots[generation % 2];
    std::memcpy(slots[static_cast<std::size_t>(lane())].data(), mine, bytes);
    warp.arrived |= bit;
    if (warp.arrived == mask) {
        warp.arrived = 0;
        ++warp.generation;
        ++s.progress;
        if (what == Collective::SyncWarp) ++warp.phase;
    } else {
        wait_until([&] { return warp.generation != generation; });
    }
    return slots;
}

void take(const std::byte* from, void* to, std::size_t bytes) { std::memcpy(to, from, bytes); }

void sync_warp(unsigned mask) { exchange(Collective::SyncWarp, mask, "", 0); }

unsigned ballot(unsigned mask, bool vote) {
    const Exchanged& all = exchange(Collective::Ballot, mask, &vote, 1);
    unsigned votes = 0;
    for (unsigned l = 0; l < 32; ++l)
        if (all[l][0] != std::byte{0}) votes |= 1U << l;
    return votes;
}

void access_checked(const void* address, std::size_t bytes, bool write, bool atomic) {
    State& s = state();
    if (s.current < 0) return;  // host code of a kernel's file
    const auto* at = static_cast<const std::byte*>(address);
    if ((bytes & (bytes - 1)) == 0 && bytes <= 16 && reinterpret_cast<std::uintptr_t>(address) % bytes != 0)
        fault(fmt::format("{} bytes at {}: not aligned to their size", bytes, address));
    if (s.fibers.on_stack(s.current, address)) return;
    const std::byte* shared = s.shared_base();
    if (at >= shared && at < shared + kSharedLimit)
        return check(s.shadow.access(static_cast<std::size_t>(at - shared), bytes, write, s.accessor()), address, bytes, write);
    bool known = false;
    check(memory().access(address, bytes, write, atomic, s.accessor(), &known), address, bytes, write);
    if (known) return;
    if (!write && at >= s.arguments.data() && at + bytes <= s.arguments.data() + s.arguments.size()) return;
    if (!write && (at >= reinterpret_cast<std::byte*>(s.addresses.data()) &&
                   at < reinterpret_cast<std::byte*>(s.addresses.data() + s.addresses.size())))
        return;
    if (!write && in_program_image(address)) return;  // __constant__ tables
    fault(fmt::format("{} of {} bytes at {}, which is {}", write ? "a write" : "a read", bytes, address,
                      s.fibers.on_any_stack(address) ? "another thread's local memory" : "not memory of the device"));
}

void access(const void* address, std::size_t bytes, bool write) { access_checked(address, bytes, write, false); }
void atomic_access(const void* address, std::size_t bytes) { access_checked(address, bytes, true, true); }

void load_matrix(std::uint32_t (&r)[4], const void* row, bool transposed) {
    if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) fault("ldmatrix: a row that is not aligned to 16 bytes");
    const std::byte* shared = state().shared_base();
    if (row < shared || row >= shared + kSharedLimit) fault("ldmatrix: a row that is not in shared memory");
    access(row, 16, false);
    const Exchanged& all = exchange(Collective::LoadMatrix, 0xffffffffU, &row, sizeof row);
    for (int i = 0; i < 4; ++i) {
        const auto row_of = [&](int number) {
            const std::byte* p = nullptr;
            std::memcpy(&p, all[static_cast<std::size_t>(8 * i + number)].data(), sizeof p);
            return p;
        };
        std::uint16_t low = 0, high = 0;
        if (transposed) {
            std::memcpy(&low, row_of(2 * (lane() % 4)) + 2 * (lane() / 4), 2);
            std::memcpy(&high, row_of(2 * (lane() % 4) + 1) + 2 * (lane() / 4), 2);
        } else {
            std::memcpy(&low, row_of(lane() / 4) + 4 * (lane() % 4), 2);
            std::memcpy(&high, row_of(lane() / 4) + 4 * (lane() % 4) + 2, 2);
        }
        r[i] = low | static_cast<std::uint32_t>(high) << 16U;
    }
}

void start_copy(void* to, const void* from, bool valid) {
    if (reinterpret_cast<std::uintptr_t>(to) % 16 != 0 || (valid && reinterpret_cast<std::uintptr_t>(from) % 16 != 0))
        fault("cp.async: addresses that are not aligned to 16 bytes");
    const std::byte* shared = state().shared_base();
    if (to < shared || to >= shared + kSharedLimit) fault("cp.async: the target is not in shared memory");
    auto& groups = state().thread().groups;
    if (groups.empty()) groups.emplace_back();
    groups.back().push_back({static_cast<std::byte*>(to), static_cast<const std::byte*>(from), valid});
}

void commit_copies() {
    auto& groups = state().thread().groups;
    if (groups.empty()) groups.emplace_back();
    groups.emplace_back();
}

void wait_copies(int pending) {
    auto& groups = state().thread().groups;
    // The last group is not committed; copies arrive as late as they may.
    while (static_cast<int>(groups.size()) - 1 > pending) {
        for (const PendingCopy& copy : groups.front()) copy_now(copy);
        groups.erase(groups.begin());
    }
}

}  // namespace tandem::emulator
