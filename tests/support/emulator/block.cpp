#include "tests/support/emulator/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "tests/support/emulator/launch_state.h"
#include "tests/support/emulator/memory.h"

namespace tandem::emulator {

LaunchState::LaunchState() : shared(static_cast<std::byte*>(std::aligned_alloc(1024, kSharedLimit))) {}

// Never destroyed: static objects may still give back device memory.
LaunchState& launch_state = *new LaunchState;

namespace {

std::string here(const LaunchState& s) { return fmt::format("{}: block {} {} {}", s.work->name, s.block_at.x, s.block_at.y, s.block_at.z); }

/// 0 to count - 1 as `order` has them.
std::vector<std::uint32_t> turns(std::size_t count, Order order, std::mt19937& random) {
    std::vector<std::uint32_t> out(count);
    std::iota(out.begin(), out.end(), 0U);
    if (order == Order::Backward) std::ranges::reverse(out);
    if (order == Order::Shuffled) std::ranges::shuffle(out, random);
    return out;
}

/// No thread can go on.
std::string stuck(const LaunchState& s) {
    std::size_t ended = 0;
    std::vector<std::pair<std::string, std::vector<std::size_t>>> places;
    for (std::size_t i = 0; i < s.threads.size(); ++i) {
        const Thread& thread = s.threads[i];
        if (s.fibers.ended(static_cast<int>(i))) {
            ++ended;
            continue;
        }
        const std::string place = fmt::format("{} at {}", thread.at, text(thread.where));
        auto found = std::ranges::find(places, place, [](const auto& p) { return p.first; });
        if (found == places.end()) found = places.insert(found, {place, {}});
        found->second.push_back(i);
    }
    std::string out = here(s) + ": threads wait for ever:";
    for (const auto& [place, threads] : places)
        out += fmt::format(" {} at {} (the first is thread {}),", threads.size(), place, threads[0]);
    return out + fmt::format(" and {} have ended", ended);
}

void begin_block(LaunchState& s, Index at) {
    const std::size_t count = s.work->block.x;
    s.block_at = at;
    s.threads.resize(count);
    for (Thread& thread : s.threads) {
        thread.awaited = nullptr;
        thread.groups.clear();
    }
    s.warps.resize((count + 31) / 32);
    for (Warp& warp : s.warps) warp.arrived = warp.phase = 0;
    s.at_barrier = 0;
    s.alive = static_cast<int>(count);
    s.who.block_start = ++s.phase;
    s.blocks.emplace_back(s.phase, at);
    s.fibers.start(static_cast<int>(count), [&s](int) { s.work->invoke(s.work->kernel, s.addresses.data()); });
}

void take_turn(LaunchState& s, std::uint32_t thread) {
    const int i = static_cast<int>(thread);
    s.current = i;
    s.thread_at = {thread, 0, 0};
    s.who.thread = thread;
    s.stack = s.fibers.stack(i);
    s.note_time();
    s.fibers.resume(i);
    if (s.fibers.ended(i)) --s.alive;
}

void run_block(LaunchState& s, Index at, Order order) {
    begin_block(s, at);
    std::vector<std::uint32_t> threads = turns(s.threads.size(), order, s.random);
    while (s.alive > 0) {
        bool moved = false;
        for (const std::uint32_t i : threads) {
            if (s.fibers.ended(static_cast<int>(i)) || s.threads[i].waits()) continue;
            moved = true;
            take_turn(s, i);
            if (!s.fault.empty()) return;
        }
        if (!moved) {
            s.fault = stuck(s);
            return;
        }
        if (order == Order::Shuffled) std::ranges::shuffle(threads, s.random);
    }
}

std::string refusal(const Work& work) {
    if (work.block.x == 0 || work.block.x > 1024 || work.block.x % 32 != 0)
        return fmt::format("{}: a block of {} threads", work.name, work.block.x);
    if (work.shared_bytes > kSharedLimit)
        return fmt::format("{}: {} bytes of shared memory a block, {} are there on every card", work.name, work.shared_bytes, kSharedLimit);
    return "";
}

}  // namespace

std::string run(const Work& work, Order order) {
    if (auto refused = refusal(work); !refused.empty()) return refused;
    LaunchState& s = launch_state;
    s.work = &work;
    s.arguments = work.arguments;
    s.addresses.clear();
    for (const std::size_t place : work.argument_places) s.addresses.push_back(s.arguments.data() + place);
    s.fault.clear();
    s.blocks.clear();
    ++s.launches;
    s.who.launch_start = s.phase + 1;
    const Memory::Open open(memory());
    const Index grid = work.grid;
    for (const std::uint32_t n : turns(std::size_t{grid.x} * grid.y * grid.z, order, s.random)) {
        run_block(s, {n % grid.x, n / grid.x % grid.y, n / grid.x / grid.y}, order);
        if (!s.fault.empty()) break;
    }
    s.current = -1;
    s.work = nullptr;
    return s.fault;
}

bool running() { return launch_state.current >= 0; }
std::uint64_t launches_run() { return launch_state.launches; }

Index thread_index() { return launch_state.thread_at; }
Index block_index() { return launch_state.block_at; }
Index block_extent() { return launch_state.work->block; }
Index grid_extent() { return launch_state.work->grid; }
int lane() { return launch_state.current % 32; }

void fault(const std::string& what) {
    LaunchState& s = launch_state;
    if (s.current < 0) {
        fmt::print(stderr, "emulator: the host's half of a kernel's file: {}\n", what);
        std::abort();
    }
    s.fault = fmt::format("{}, thread {}: {}", here(s), s.current, what);
    s.fibers.leave();
}

void give_up() { fault("the kernel gave up"); }

std::string text(const Place& where) {
    const char* slash = std::strrchr(where.file_name(), '/');
    return fmt::format("{}:{}", slash == nullptr ? where.file_name() : slash + 1, where.line());
}

}  // namespace tandem::emulator
