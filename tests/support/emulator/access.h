// A thread's access to memory, as the instrumentation and the emulator's own operations report it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tests/support/emulator/fibers.h"
#include "tests/support/emulator/launch_state.h"
#include "tests/support/emulator/marks.h"
#include "tests/support/emulator/memory.h"

namespace tandem::emulator {

inline bool in_shared_memory(const void* address) {
    return static_cast<std::size_t>(static_cast<const std::byte*>(address) - launch_state.shared) < kSharedLimit;
}

/// What access() does where nothing is wrong with an address of the device; false where it has to look closer.
[[gnu::always_inline]] inline bool plainly_right(const void* address, std::size_t bytes, Access how) {
    LaunchState& s = launch_state;
    if (s.current < 0) return true;  // host code of a kernel's file
    const auto* at = static_cast<const std::byte*>(address);
    if (static_cast<std::size_t>(at - s.stack) < Fibers::kStack) return true;
    std::size_t wrong_at = 0;
    if (const auto place = static_cast<std::size_t>(at - s.shared); place < kSharedLimit) {
        return place + bytes <= s.work->shared_bytes &&
               touch(&s.shared_writer[place], &s.shared_reader[place], bytes, how, s.who, s.who.block_start, wrong_at) == Wrong::Nothing;
    }
    const Memory::Region* region = memory().region(address);
    if (region == nullptr) return false;
    const std::size_t place = reinterpret_cast<std::uintptr_t>(address) - region->base;
    return place + bytes <= region->bytes &&
           touch(region->writer + place, region->reader + place, bytes, how, s.who, kHostPhase, wrong_at) == Wrong::Nothing;
}

/// The fault of an access that is not plainly right; returns where it is allowed all the same.
void look_closer(const void* address, std::size_t bytes, Access how);

/// Any number of bytes, in pieces of any size.
[[gnu::noinline]] inline void access(const void* address, std::size_t bytes, Access how) {
    if (!plainly_right(address, bytes, how)) look_closer(address, bytes, how);
}

[[noreturn]] void misaligned(const void* address, std::size_t bytes);

/// One access of kBytes bytes, which hardware wants aligned.
template <std::size_t kBytes>
void access(const void* address, Access how) {
    if (reinterpret_cast<std::uintptr_t>(address) % kBytes != 0 && launch_state.current >= 0) misaligned(address, kBytes);
    if (!plainly_right(address, kBytes, how)) look_closer(address, kBytes, how);
}

}  // namespace tandem::emulator
