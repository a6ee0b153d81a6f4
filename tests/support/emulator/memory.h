// The memory of the emulated device: which addresses exist, which bytes were written, and by whom.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace tandem::emulator {

/// Who accesses, and between which barriers.
struct Accessor {
    std::uint32_t launch;                   ///< serial number, from 1
    std::uint32_t block;                    ///< linear
    std::uint32_t thread;                   ///< in the block
    std::uint32_t block_phase, warp_phase;  ///< barriers passed by the block, and by the warp within its own
};

/// An allocation, at an address that only kernels and copies can use: pages are closed while the host runs.
class Memory {
public:
    void set_capacity(std::size_t bytes) { capacity_ = bytes; }
    [[nodiscard]] std::size_t capacity() const { return capacity_; }
    [[nodiscard]] std::size_t used() const { return used_; }

    /// Null where it does not fit.
    void* allocate(std::size_t bytes);
    /// False where nothing begins at `base`.
    bool release(void* base);
    /// Opens every page to this process while it lives.
    class Open {
    public:
        explicit Open(Memory& memory);
        ~Open();
        Open(const Open&) = delete;
        Open& operator=(const Open&) = delete;

    private:
        Memory& memory_;
    };

    /// Whether [address, address + bytes) is device memory.
    [[nodiscard]] bool contains(const void* address, std::size_t bytes) const;
    /// As a copy or a fill from outside of kernels: empty, or what is wrong.
    std::string written(const void* address, std::size_t bytes);
    /// For a read by a copy: empty, or what is wrong (nobody wrote byte ...). Uninitialised bytes may be copied, as CUDA allows.
    std::string outside(const void* address, std::size_t bytes) const;

    /// A thread's access. Empty, or what is wrong; `known` tells whether it is device memory at all.
    std::string access(const void* address, std::size_t bytes, bool write, bool atomic, const Accessor& who, bool* known);

private:
    struct Region {
        std::size_t bytes = 0, mapped = 0;
        std::uint8_t* initialised = nullptr;  ///< one a byte
        std::uint64_t* writer = nullptr;      ///< one a byte: who wrote it last
    };
    using Regions = std::map<std::uintptr_t, Region>;
    [[nodiscard]] Regions::const_iterator find(const void* address) const;
    void protect(int rights);

    Regions regions_;
    std::uintptr_t last_base_ = 0;
    Region* last_ = nullptr;
    std::size_t capacity_ = std::size_t{8} << 30U;
    std::size_t used_ = 0;
    int open_ = 0;
};

Memory& memory();

}  // namespace tandem::emulator
