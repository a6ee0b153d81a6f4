// Where bytes come from: one arena per MemoryKind, reserved before the first step, handed out by name, released in
// reverse order. Nothing in the trainer allocates device memory in any other way.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/base/tensor.h"

namespace tandem {

class Backend;

/// What bytes are for; also the columns of the memory ledger.
enum class MemoryKind : std::uint8_t {
    Weights,
    Quantization,
    Gradients,
    Master,
    Optimizer,
    Activations,
    Workspace,
    Communication,
};
inline constexpr std::size_t kMemoryKinds = 8;
[[nodiscard]] std::string_view name(MemoryKind kind);

/// Bytes by kind.
using MemoryBytes = std::array<std::size_t, kMemoryKinds>;
[[nodiscard]] std::size_t total(const MemoryBytes& bytes);

/// From here on arenas do not give their memory back: this process ends with an error while somebody else may still read from it.
void leave_memory_to_the_system();

/// Bump allocator with marks. Not thread-safe: one rank drives one device from one thread.
class Arena {
public:
    static constexpr std::size_t kAlignment = 256;

    /// Reserves `capacity` bytes of `backend`'s memory.
    Arena(Backend& backend, MemoryKind kind, std::size_t capacity);
    /// Hands out parts of `memory`, contiguous bytes of another arena that must outlive this one.
    Arena(MemoryKind kind, const Tensor& memory);
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    /// A contiguous tensor; its contents are undefined. Throws OutOfMemory naming tensor, shape, kind, need and have.
    Tensor allocate(std::string_view tensor, DType dtype, const Shape& shape);

    /// Everything allocated after mark() is given back by release(mark).
    [[nodiscard]] std::size_t mark() const { return used_; }
    void release(std::size_t mark);

    [[nodiscard]] MemoryKind kind() const { return kind_; }
    [[nodiscard]] std::size_t capacity() const { return capacity_; }
    [[nodiscard]] std::size_t used() const { return used_; }
    [[nodiscard]] std::size_t peak() const { return peak_; }

private:
    Backend* backend_;  ///< null: the memory is another arena's
    MemoryKind kind_;
    std::size_t capacity_;
    std::size_t used_ = 0;
    std::size_t peak_ = 0;
    std::byte* base_;
};

/// Gives back, at the end of a scope, what was allocated in it.
class ArenaScope {
public:
    explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
    ~ArenaScope() { arena_.release(mark_); }
    ArenaScope(const ArenaScope&) = delete;
    ArenaScope& operator=(const ArenaScope&) = delete;

private:
    Arena& arena_;
    std::size_t mark_;
};

/// The arenas of one rank's device, by kind, and their sum: the ledger.
class DeviceMemory {
public:
    /// Each kind may grow to `limit` bytes (address space only on hosts: pages are taken when first written).
    DeviceMemory(Backend& backend, std::size_t limit);
    /// Reserves capacities[kind] bytes for each kind: what a dry run has found to be enough.
    DeviceMemory(Backend& backend, const MemoryBytes& capacities);

    Arena& operator[](MemoryKind kind) { return *arenas_[static_cast<std::size_t>(kind)]; }
    const Arena& operator[](MemoryKind kind) const { return *arenas_[static_cast<std::size_t>(kind)]; }
    [[nodiscard]] MemoryBytes reserved() const;
    [[nodiscard]] MemoryBytes peaks() const;                           ///< each kind's own high-water mark
    [[nodiscard]] std::size_t peak() const { return total(peaks()); }  ///< their sum, bytes

private:
    std::array<std::unique_ptr<Arena>, kMemoryKinds> arenas_;
};

}  // namespace tandem
