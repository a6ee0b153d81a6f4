// Host memory beside a device, and the copies between the two that are under way.
#pragma once

#include <cstddef>
#include <memory>

#include "kernels/base/backend.h"

namespace tandem {

/// Memory of Backend::reserve_host. A rank that unwinds leaves it to the system: MPI or the device may still be in it.
class PinnedMemory {
public:
    PinnedMemory(Backend& backend, std::size_t bytes);
    ~PinnedMemory();
    PinnedMemory(const PinnedMemory&) = delete;
    PinnedMemory& operator=(const PinnedMemory&) = delete;

    [[nodiscard]] std::byte* data() const { return data_; }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    Backend& backend_;
    std::size_t bytes_;
    std::byte* data_;
};

/// Pinned memory that is used over and over. Copies are enqueued; the host may touch the bytes after wait().
class PinnedBuffer {
public:
    PinnedBuffer(Backend& backend, std::size_t bytes);
    ~PinnedBuffer();
    PinnedBuffer(const PinnedBuffer&) = delete;
    PinnedBuffer& operator=(const PinnedBuffer&) = delete;

    /// Where a packed host tensor of this shape lies, `offset` bytes into the buffer.
    [[nodiscard]] Tensor at(std::size_t offset, DType dtype, const Shape& shape) const;
    /// The device's rows into `packed`, which lies in the buffer; after everything that was enqueued for the buffer, on any stream.
    void fetch(Stream& stream, const Tensor& source, const Tensor& packed);
    /// `packed`, which lies in the buffer, into the device's rows.
    void deliver(Stream& stream, const Tensor& packed, const Tensor& target);
    /// Blocks the host until no copy of this buffer is under way.
    void wait() const { last_copy_->synchronize(); }

private:
    Backend& backend_;
    std::unique_ptr<Event> last_copy_;
    PinnedMemory memory_;
};

}  // namespace tandem
