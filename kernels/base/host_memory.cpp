#include "kernels/base/host_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "kernels/base/error.h"

namespace tandem {

namespace {

// mmap refuses empty mappings.
std::size_t mapped(std::size_t bytes) { return std::max<std::size_t>(bytes, 1); }

/// f(row of the view, offset of the same row when packed, bytes of a row), in one piece where the view is contiguous.
template <class F>
void each_row(const Tensor& view, F&& f) {
    if (view.bytes() == 0) return;
    auto* base = static_cast<std::byte*>(view.raw());
    if (view.contiguous()) {
        f(base, std::size_t{0}, view.bytes());
        return;
    }
    const auto row = static_cast<std::size_t>(view.row_elements()) * size_of(view.dtype());
    const auto stride = static_cast<std::size_t>(view.row_stride()) * size_of(view.dtype());
    for (std::size_t i = 0; i < static_cast<std::size_t>(view.extent(0)); ++i) f(base + i * stride, i * row, row);
}

}  // namespace

void* reserve_host_memory(std::size_t bytes) {
    void* base = mmap(nullptr, mapped(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        const int reason = errno;
        fail(Failure::OutOfMemory,
             "out of memory: the system refuses {} bytes of address space: {}; a limit (ulimit -v, vm.overcommit_memory = 2) may be in the "
             "way, or set device.memory_limit",
             bytes, std::strerror(reason));
    }
    return base;
}

void unreserve_host_memory(void* base, std::size_t bytes) noexcept {
    // Fails only for an address that was never mapped: a bug of the caller that a destructor cannot report by throwing.
    if (base != nullptr && munmap(base, mapped(bytes)) != 0) std::perror("tandem: munmap");
}

void copy_to_view(const void* source, const Tensor& target) {
    const auto* packed = static_cast<const std::byte*>(source);
    each_row(target, [&](std::byte* row, std::size_t offset, std::size_t bytes) { std::memcpy(row, packed + offset, bytes); });
}

void copy_from_view(const Tensor& source, void* target) {
    auto* packed = static_cast<std::byte*>(target);
    each_row(source, [&](const std::byte* row, std::size_t offset, std::size_t bytes) { std::memcpy(packed + offset, row, bytes); });
}

}  // namespace tandem
