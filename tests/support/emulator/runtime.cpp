#include "kernels/cuda/runtime.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "tests/support/emulator/emulator.h"
#include "tests/support/emulator/memory.h"
#include "tests/support/emulator/streams.h"

namespace {

// Numbers of CUDA's own.
constexpr int kInvalidValue = 1, kMemoryAllocation = 2, kLaunchFailure = 719, kCaptureUnsupported = 900;

std::string last_fault;
std::map<std::uintptr_t, std::size_t>& pinned() {
    static auto* all = new std::map<std::uintptr_t, std::size_t>;
    return *all;
}
std::set<CUstream_st*>& streams() {
    static auto* all = new std::set<CUstream_st*>;
    return *all;
}

bool is_pinned(const void* address) {
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    auto next = pinned().upper_bound(at);
    if (next == pinned().begin()) return false;
    --next;
    return at < next->first + next->second;
}

/// Rows, checked where they are the device's.
std::string copy_rows(const tandem::cuda::RowsCopy& what, tandem::cuda::Direction direction) {
    using tandem::cuda::Direction;
    auto& memory = tandem::emulator::memory();
    const tandem::emulator::Memory::Open open(memory);
    for (std::size_t i = 0; i < what.rows; ++i) {
        auto* to = static_cast<std::byte*>(what.to) + i * what.to_stride;
        const auto* from = static_cast<const std::byte*>(what.from) + i * what.from_stride;
        if (direction != Direction::HostToDevice)
            if (auto wrong = memory.outside(from, what.row); !wrong.empty()) return "copy: the source is " + wrong;
        if (direction != Direction::DeviceToHost)
            if (auto wrong = memory.outside(to, what.row); !wrong.empty()) return "copy: the target is " + wrong;
        std::memmove(to, from, what.row);
        // Bytes that nobody wrote may be copied, and stay such.
        if (direction == Direction::HostToDevice) memory.written(to, what.row);
        if (direction == Direction::DeviceToDevice) memory.copy_marks(to, from, what.row);
        if (direction == Direction::DeviceToHost) memory.spoil_unwritten(to, from, what.row);
    }
    return "";
}

}  // namespace

std::string CUstream_st::drain(std::uint64_t number) {
    std::string fault;
    while (!queue.empty() && queue.front().number <= number) {
        const Item item = std::move(queue.front());
        queue.pop_front();
        if (fault.empty()) fault = item.work();
    }
    return fault;
}

namespace tandem::emulator {

std::string take_fault() { return std::exchange(last_fault, {}); }

cuda::Status failed(std::string fault) {
    if (fault.empty()) return {};
    last_fault = std::move(fault);
    return {kLaunchFailure};
}

void set_memory(std::size_t bytes) { memory().set_capacity(bytes); }

}  // namespace tandem::emulator

namespace tandem::cuda {

using emulator::failed;

namespace {

/// What waits for a stream, or for all of them, is not allowed while one is recorded.
bool any_is_recorded() {
    return std::ranges::any_of(streams(), [](const CUstream_st* stream) { return stream->recording != nullptr; });
}

}  // namespace

Status allocate(std::size_t bytes, void** base) {
    if (any_is_recorded()) return {kCaptureUnsupported};
    *base = emulator::memory().allocate(bytes);
    return {*base == nullptr ? kMemoryAllocation : 0};
}

/// Waits for everything, as cudaFree does.
Status release(void* base) {
    if (any_is_recorded()) return {kCaptureUnsupported};
    std::string fault;
    for (CUstream_st* stream : streams())
        if (auto wrong = stream->drain(stream->enqueued); fault.empty()) fault = std::move(wrong);
    if (!emulator::memory().release(base)) return {kInvalidValue};
    return failed(std::move(fault));
}

Status allocate_pinned(std::size_t bytes, void** base) {
    if (any_is_recorded()) return {kCaptureUnsupported};
    *base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (*base == MAP_FAILED) return {kMemoryAllocation};
    pinned()[reinterpret_cast<std::uintptr_t>(*base)] = bytes;
    return {};
}

Status release_pinned(void* base) {
    if (any_is_recorded()) return {kCaptureUnsupported};
    const auto found = pinned().find(reinterpret_cast<std::uintptr_t>(base));
    if (found == pinned().end()) return {kInvalidValue};
    std::string fault;
    for (CUstream_st* stream : streams())
        if (auto wrong = stream->drain(stream->enqueued); fault.empty()) fault = std::move(wrong);
    munmap(base, found->second);
    pinned().erase(found);
    return failed(std::move(fault));
}

Status memory_info(std::size_t* free, std::size_t* total) {
    *total = emulator::memory().capacity();
    *free = *total - emulator::memory().used();
    return {};
}

Status copy(const RowsCopy& what, Direction direction, NativeStream stream) {
    if (stream->recording != nullptr && direction != Direction::DeviceToDevice) return {kCaptureUnsupported};  // not of tandem's
    const bool packed = what.to_stride == what.row && what.from_stride == what.row;
    if (!packed && (what.to_stride < what.row || what.from_stride < what.row)) return {kInvalidValue};  // even of a single row
    if (direction == Direction::HostToDevice && !is_pinned(what.from)) {
        std::vector<std::byte> staged(what.row * what.rows);
        for (std::size_t i = 0; i < what.rows; ++i)
            std::memcpy(staged.data() + i * what.row, static_cast<const std::byte*>(what.from) + i * what.from_stride, what.row);
        stream->push([what, direction, staged = std::move(staged)] {
            return copy_rows({what.to, what.to_stride, staged.data(), what.row, what.row, what.rows}, direction);
        });
        return {};
    }
    stream->push([what, direction] { return copy_rows(what, direction); });
    if (direction == Direction::DeviceToHost && !is_pinned(what.to)) return synchronize_stream(stream);
    return {};
}

Status fill_zero(void* base, std::size_t stride, std::size_t row, std::size_t rows, NativeStream stream) {
    if (stride < row) return {kInvalidValue};
    stream->push([=]() -> std::string {
        auto& memory = emulator::memory();
        const emulator::Memory::Open open(memory);
        for (std::size_t i = 0; i < rows; ++i) {
            auto* to = static_cast<std::byte*>(base) + i * stride;
            if (auto wrong = memory.written(to, row); !wrong.empty()) return "fill: the target is " + wrong;
            std::memset(to, 0, row);
        }
        return "";
    });
    return {};
}

Status make_stream(NativeStream* stream) {
    *stream = new CUstream_st;
    streams().insert(*stream);
    return {};
}

Status destroy_stream(NativeStream stream) {
    if (stream->recording != nullptr) return {kCaptureUnsupported};
    std::string fault = stream->drain(stream->enqueued);
    streams().erase(stream);
    delete stream;
    return failed(std::move(fault));
}

Status synchronize_stream(NativeStream stream) {
    if (stream->recording != nullptr) return {kCaptureUnsupported};
    return failed(stream->drain(stream->enqueued));
}

Status make_event(EventHandle* event) {
    *event = new CUevent_st;
    return {};
}

Status destroy_event(EventHandle event) {
    delete event;
    return {};
}

Status record_event(EventHandle event, NativeStream stream) {
    if (stream->recording != nullptr) return {kCaptureUnsupported};
    stream->push([] { return std::string(); });
    *event = {stream, stream->enqueued};
    return {};
}

Status wait_event(NativeStream stream, EventHandle event) {
    if (stream->recording != nullptr) return {kCaptureUnsupported};
    if (event->stream == nullptr || event->stream == stream) return {};
    stream->push(
        [other = event->stream, number = event->number] { return streams().contains(other) ? other->drain(number) : std::string(); });
    return {};
}

Status synchronize_event(EventHandle event) {
    if (event->stream == nullptr || !streams().contains(event->stream)) return {};
    return failed(event->stream->drain(event->number));
}

/// Work that is asked about gets on, or who polls would wait for ever.
Status query_event(EventHandle event, bool* done) {
    *done = event->stream == nullptr || !streams().contains(event->stream) || event->done();
    return *done ? Status{} : synchronize_event(event);
}

StatusText describe(Status status) {
    if (status.code == kMemoryAllocation) return {"cudaErrorMemoryAllocation", "out of memory (emulated)", StatusKind::OutOfMemory};
    if (status.code == kLaunchFailure) return {"cudaErrorLaunchFailure", last_fault, StatusKind::EarlierWork};
    if (status.code == kCaptureUnsupported)
        return {"cudaErrorStreamCaptureUnsupported", "not while a stream is recorded (emulated)", StatusKind::Other};
    return {"cudaErrorInvalidValue", "invalid argument (emulated)", StatusKind::Other};
}

}  // namespace tandem::cuda
