// One launch: its blocks one after the other, the threads of a block in turns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/emulator/emulator.h"
#include "tests/support/emulator/thread.h"

namespace tandem::emulator {

struct Work {
    std::string name;
    Index grid{}, block{};
    std::size_t shared_bytes = 0;
    const void* kernel = nullptr;
    void (*invoke)(const void*, void**) = nullptr;
    std::vector<std::byte> arguments;          ///< their bytes
    std::vector<std::size_t> argument_places;  ///< where each begins, aligned to 16
};

/// Shared memory that every card from sm_80 on can give a block (sm_86 and sm_89 have least), bytes.
inline constexpr std::size_t kSharedLimit = 99 * 1024;

/// Runs all threads to their end. Empty, or what went wrong, with kernel, block and thread.
std::string run(const Work& work, Order order);

/// Whether a kernel is running.
bool running();
std::uint64_t launches_run();

}  // namespace tandem::emulator
