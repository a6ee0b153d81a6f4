#include "tests/support/emulator/access.h"

#include <fmt/format.h>

#include <cstring>

#include "tests/support/emulator/image.h"

namespace tandem::emulator {

namespace {

const char* name(Access how) {
    switch (how) {
        case Access::Read: return "a read";
        case Access::Write: return "a write";
        case Access::Atomic: return "an atomic operation";
        default: return "an asynchronous copy";
    }
}

/// "thread 3 of block 0 1 0", or of this block.
std::string author(const LaunchState& s, Mark mark) {
    const std::string thread = fmt::format("thread {}", thread_of(mark));
    if (phase_of(mark) >= s.who.block_start) return thread;
    const auto next = std::ranges::upper_bound(s.blocks, phase_of(mark), {}, [](const auto& block) { return block.first; });
    const Index at = (next - 1)->second;
    return fmt::format("{} of block {} {} {}", thread, at.x, at.y, at.z);
}

std::string explain(Wrong wrong, const LaunchState& s, Mark writer, Mark reader) {
    const auto since = [&](Mark mark) { return phase_of(mark) >= s.who.block_start ? "since the last barrier" : "in the same launch"; };
    switch (wrong) {
        case Wrong::Unwritten: return "was never written";
        case Wrong::UnderWay: return fmt::format("is the target of a copy that {} has not waited for", author(s, writer));
        case Wrong::Written: return fmt::format("was written by {} {}: a race", author(s, writer), since(writer));
        case Wrong::WasRead:
            if (static_cast<ReadKind>(reader & 3U) == ReadKind::SeveralBlocks)
                return "was read by several blocks in the same launch: a race";
            return fmt::format("was read by {} {}: a race", author(s, reader), since(reader));
        default: return "";
    }
}

/// In memory of `size` bytes, of which byte `first` is the first accessed.
void look_closer_in(const std::string& memory, std::size_t size, std::size_t first, std::size_t bytes, Access how, Mark* writer,
                    Mark* reader, std::uint32_t floor) {
    const LaunchState& s = launch_state;
    if (first + bytes > size)
        fault(fmt::format("{} of {} bytes: bytes {} to {} of {}: out of bounds", name(how), bytes, first, first + bytes, memory));
    std::size_t at = 0;
    const Wrong wrong = touch(writer + first, reader + first, bytes, how, s.who, floor, at);
    if (wrong != Wrong::Nothing)
        fault(fmt::format("{} of {} bytes: byte {} of {} {}", name(how), bytes, first + at, memory,
                          explain(wrong, s, writer[first + at], reader[first + at])));
}

template <class T>
bool within(const void* address, std::size_t bytes, const std::vector<T>& all) {
    const auto* at = static_cast<const std::byte*>(address);
    const auto* begin = reinterpret_cast<const std::byte*>(all.data());
    return at >= begin && at + bytes <= begin + all.size() * sizeof(T);
}

}  // namespace

void look_closer(const void* address, std::size_t bytes, Access how) {
    LaunchState& s = launch_state;
    if (bytes == 0) return;
    const auto* at = static_cast<const std::byte*>(address);
    if (in_shared_memory(address)) {
        return look_closer_in(fmt::format("{} bytes of shared memory", s.work->shared_bytes), s.work->shared_bytes,
                              static_cast<std::size_t>(at - s.shared), bytes, how, s.shared_writer.data(), s.shared_reader.data(),
                              s.who.block_start);
    }
    if (const Memory::Region* region = memory().region(address)) {
        return look_closer_in(fmt::format("an allocation of {}", region->bytes), region->bytes,
                              reinterpret_cast<std::uintptr_t>(address) - region->base, bytes, how, region->writer, region->reader,
                              kHostPhase);
    }
    // Parameters, and __constant__ tables.
    if (how == Access::Read && (within(address, bytes, s.arguments) || within(address, bytes, s.addresses) || in_program_image(address)))
        return;
    fault(fmt::format("{} of {} bytes at {}, which is {}", name(how), bytes, address,
                      s.fibers.on_any_stack(address) ? "another thread's local memory" : "not memory of the device"));
}

void misaligned(const void* address, std::size_t bytes) { fault(fmt::format("{} bytes at {}: not aligned to their size", bytes, address)); }

void* shared_memory(std::size_t bytes) {
    const LaunchState& s = launch_state;
    if (bytes > s.work->shared_bytes)
        fault(fmt::format("{} bytes of shared memory are used, the launch gave {}", bytes, s.work->shared_bytes));
    return s.shared;
}

std::uint64_t atomic_load(const void* x, std::size_t bytes) {
    if (reinterpret_cast<std::uintptr_t>(x) % bytes != 0) misaligned(x, bytes);
    access(x, bytes, Access::Atomic);
    std::uint64_t bits = 0;
    std::memcpy(&bits, x, bytes);
    return bits;
}

void atomic_store(void* x, std::uint64_t bits, std::size_t bytes) { std::memcpy(x, &bits, bytes); }

void start_copy(void* to, const void* from, bool valid) {
    if (reinterpret_cast<std::uintptr_t>(to) % 16 != 0 || (valid && reinterpret_cast<std::uintptr_t>(from) % 16 != 0))
        fault("cp.async: addresses that are not aligned to 16 bytes");
    if (!in_shared_memory(to)) fault("cp.async: the target is not in shared memory");
    if (valid && memory().region(from) == nullptr) fault(fmt::format("cp.async: the source {} is not memory of the device", from));
    if (valid) access(from, 16, Access::Read);
    access(to, 16, Access::CopyBegins);
    auto& groups = launch_state.thread().groups;
    if (groups.empty()) groups.emplace_back();
    groups.back().push_back({static_cast<std::byte*>(to), static_cast<const std::byte*>(from), valid});
}

void commit_copies() {
    auto& groups = launch_state.thread().groups;
    if (groups.empty()) groups.emplace_back();
    groups.emplace_back();
}

void wait_copies(int pending) {
    auto& groups = launch_state.thread().groups;
    // The last group is not committed; copies arrive as late as they may.
    while (static_cast<int>(groups.size()) - 1 > pending) {
        for (const PendingCopy& copy : groups.front()) {
            if (copy.valid) access(copy.from, 16, Access::Read);
            access(copy.to, 16, Access::CopyArrives);
            if (copy.valid) std::memcpy(copy.to, copy.from, 16);
            else std::memset(copy.to, 0, 16);
        }
        groups.erase(groups.begin());
    }
}

}  // namespace tandem::emulator
