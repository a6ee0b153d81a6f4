// The memory of the emulated device: which addresses exist, which bytes were written, and by whom.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "tests/support/emulator/marks.h"

namespace tandem::emulator {

/// Allocations, at addresses that only kernels and copies can use: pages are closed while the host runs.
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
    /// What copies, fills and libraries ask: empty, or what is wrong with these bytes.
    [[nodiscard]] std::string outside(const void* address, std::size_t bytes) const;
    /// As outside(), and every byte was written.
    [[nodiscard]] std::string unreadable(const void* address, std::size_t bytes) const;
    /// As outside(); the bytes count as written from now on.
    std::string written(const void* address, std::size_t bytes);
    /// As a copy within the device: what was not written at `from` counts as not written at `to`. Both are device memory.
    void copy_marks(const void* to, const void* from, std::size_t bytes);
    /// The host's copy of bytes at `from`: those that nobody wrote become 0xff, a NaN or -1, lest they pass for zeros.
    void spoil_unwritten(void* host, const void* from, std::size_t bytes) const;

    struct Region {
        std::uintptr_t base = 0;
        std::size_t bytes = 0, mapped = 0;
        Mark* writer = nullptr;  ///< one a byte
        Mark* reader = nullptr;
    };
    /// The allocation that the address is in, or the closed page behind it; null for any other address.
    const Region* region(const void* address) {
        const auto place = reinterpret_cast<std::uintptr_t>(address);
        if (last_ != nullptr && place - last_->base < last_->mapped) return last_;
        const Region* found = find(address);
        if (found != nullptr) last_ = found;
        return found;
    }

private:
    [[nodiscard]] const Region* find(const void* address) const;
    void protect(int rights);

    std::map<std::uintptr_t, Region> regions_;
    const Region* last_ = nullptr;
    std::size_t capacity_ = std::size_t{8} << 30U;
    std::size_t used_ = 0;
    int open_ = 0;
};

Memory& memory();

}  // namespace tandem::emulator
