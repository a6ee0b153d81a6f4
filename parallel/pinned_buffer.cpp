#include "parallel/pinned_buffer.h"

#include <exception>

namespace tandem {

PinnedMemory::PinnedMemory(Backend& backend, std::size_t bytes)
    : backend_(backend), bytes_(bytes), data_(static_cast<std::byte*>(backend.reserve_host(bytes))) {}

PinnedMemory::~PinnedMemory() {
    if (std::uncaught_exceptions() == 0) backend_.unreserve_host(data_, bytes_);
}

PinnedBuffer::PinnedBuffer(Backend& backend, std::size_t bytes)
    : backend_(backend), last_copy_(backend.make_event()), memory_(backend, bytes) {}

PinnedBuffer::~PinnedBuffer() {
    if (std::uncaught_exceptions() > 0) return;
    try {
        wait();
    } catch (const std::exception&) {
        // The device has failed: whoever asked it last has been told, and nothing is copied any more.
    }
}

Tensor PinnedBuffer::at(std::size_t offset, DType dtype, const Shape& shape) const {
    const Tensor x(memory_.data() + offset, dtype, shape);
    require(offset + x.bytes() <= memory_.bytes(), "{} at byte {} of a pinned buffer of {}", x.str(), offset, memory_.bytes());
    return x;
}

void PinnedBuffer::fetch(Stream& stream, const Tensor& source, const Tensor& packed) {
    stream.wait(*last_copy_);
    backend_.copy_to_host(stream, source, packed.raw());
    stream.record(*last_copy_);
}

void PinnedBuffer::deliver(Stream& stream, const Tensor& packed, const Tensor& target) {
    backend_.copy_from_host(stream, packed.raw(), target);
    stream.record(*last_copy_);
}

}  // namespace tandem
