#include "kernels/base/arena.h"

#include <algorithm>
#include <numeric>

#include "kernels/base/backend.h"

namespace tandem {

std::string_view name(MemoryKind kind) {
    static constexpr std::array<std::string_view, kMemoryKinds> names = {"weights",   "quantization", "gradients", "master",
                                                                         "optimizer", "activations",  "workspace", "communication"};
    return names[static_cast<std::size_t>(kind)];
}

namespace {

bool left_to_the_system = false;

}  // namespace

void leave_memory_to_the_system() { left_to_the_system = true; }

Arena::Arena(Backend& backend, MemoryKind kind, std::size_t capacity)
    : backend_(&backend), kind_(kind), capacity_(capacity), base_(static_cast<std::byte*>(backend.reserve(capacity))) {}

Arena::Arena(MemoryKind kind, const Tensor& memory)
    : backend_(nullptr), kind_(kind), capacity_(memory.bytes()), base_(static_cast<std::byte*>(memory.raw())) {
    require(memory.contiguous(), "an arena in {}, which is not contiguous", memory.str());
}

Arena::~Arena() {
    if (backend_ && !left_to_the_system) backend_->unreserve(base_, capacity_);
}

Tensor Arena::allocate(std::string_view tensor, DType dtype, const Shape& shape) {
    const auto need = static_cast<std::size_t>(shape.elements()) * size_of(dtype);
    const auto rounded = (need + kAlignment - 1) / kAlignment * kAlignment;
    if (rounded > capacity_ - used_) {
        fail(Failure::OutOfMemory, "out of memory: {} {} {} needs {} bytes, the {} arena has {} of {} bytes free", tensor, name(dtype),
             shape.str(), need, name(kind_), capacity_ - used_, capacity_);
    }
    Tensor result(base_ + used_, dtype, shape);
    used_ += rounded;
    peak_ = std::max(peak_, used_);
    return result;
}

void Arena::release(std::size_t mark) {
    // An older scope may already have released past this mark; taking memory back twice would hand live bytes out again.
    used_ = std::min(used_, mark);
}

std::size_t total(const MemoryBytes& bytes) { return std::accumulate(bytes.begin(), bytes.end(), std::size_t{0}); }

DeviceMemory::DeviceMemory(Backend& backend, std::size_t limit) {
    for (std::size_t k = 0; k < kMemoryKinds; ++k) arenas_[k] = std::make_unique<Arena>(backend, static_cast<MemoryKind>(k), limit);
}

DeviceMemory::DeviceMemory(Backend& backend, const MemoryBytes& capacities) {
    for (std::size_t k = 0; k < kMemoryKinds; ++k) arenas_[k] = std::make_unique<Arena>(backend, static_cast<MemoryKind>(k), capacities[k]);
}

MemoryBytes DeviceMemory::reserved() const {
    MemoryBytes bytes{};
    for (std::size_t k = 0; k < kMemoryKinds; ++k) bytes[k] = arenas_[k]->capacity();
    return bytes;
}

MemoryBytes DeviceMemory::peaks() const {
    MemoryBytes bytes{};
    for (std::size_t k = 0; k < kMemoryKinds; ++k) bytes[k] = arenas_[k]->peak();
    return bytes;
}

}  // namespace tandem
