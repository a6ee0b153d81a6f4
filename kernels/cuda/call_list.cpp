#include "kernels/cuda/call_list.h"

#include <cstring>

#include "kernels/cuda/graph.h"

namespace tandem::cuda {

namespace {

constexpr std::size_t round_up(std::size_t bytes) { return (bytes + 15) / 16 * 16; }

template <class T>
std::uint64_t word(T* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer);
}

bool same_grid(const Grid& a, const Grid& b) { return a.x == b.x && a.y == b.y && a.z == b.z; }

}  // namespace

void CallList::mix(std::uint64_t word) {
    topology_ = (topology_ ^ word) * 0x9E3779B97F4A7C15U;
    topology_ ^= topology_ >> 29U;
}

/// Zeros, so that what lies between arguments is the same in every list.
std::byte* CallList::append(std::size_t bytes) {
    const std::size_t first = bytes_.size();
    bytes_.resize(first + round_up(bytes));
    return bytes_.data() + first;
}

void CallList::add(const Launch& how, const KernelCall& call) {
    Call one{.how = how,
             .kernel = call.kernel,
             .invoke = call.invoke,
             .enqueue = nullptr,
             .sizes = call.sizes,
             .count = call.count,
             .first = bytes_.size(),
             .bytes = 0};
    for (int i = 0; i < call.count; ++i) std::memcpy(append(call.sizes[i]), call.arguments[i], call.sizes[i]);
    one.bytes = bytes_.size() - one.first;
    calls_.push_back(one);
    mix(word(call.kernel));
    mix(how.threads);
    mix(how.shared_bytes);
}

void CallList::add(const FixedCall& call) {
    Call one;
    one.how.name = call.name;
    one.enqueue = call.enqueue;
    one.first = bytes_.size();
    one.bytes = call.bytes.size();
    std::byte* place = append(call.bytes.size());
    std::memcpy(place, call.bytes.data(), call.bytes.size());
    calls_.push_back(one);
    mix(reinterpret_cast<std::uintptr_t>(call.enqueue));
    for (std::size_t at = 0; at < round_up(one.bytes); at += sizeof(std::uint64_t)) {
        std::uint64_t value = 0;
        std::memcpy(&value, place + at, sizeof value);
        mix(value);
    }
}

void CallList::clear() {
    calls_.clear();
    bytes_.clear();
    topology_ = 0;
}

bool CallList::same_topology(const CallList& other) const {
    if (topology_ != other.topology_ || calls_.size() != other.calls_.size() || bytes_.size() != other.bytes_.size()) return false;
    for (std::size_t i = 0; i < calls_.size(); ++i) {
        const Call &a = calls_[i], &b = other.calls_[i];
        if (a.kernel != b.kernel || a.enqueue != b.enqueue || a.first != b.first || a.bytes != b.bytes) return false;
        if (a.kernel != nullptr) {
            if (a.how.threads != b.how.threads || a.how.shared_bytes != b.how.shared_bytes) return false;
        } else if (std::memcmp(bytes_.data() + a.first, other.bytes_.data() + b.first, a.bytes) != 0) {
            return false;
        }
    }
    return true;
}

bool CallList::same_kernel(std::size_t i, const CallList& other) const {
    const Call &a = calls_[i], &b = other.calls_[i];
    return same_grid(a.how.grid, b.how.grid) && std::memcmp(bytes_.data() + a.first, other.bytes_.data() + b.first, a.bytes) == 0;
}

void CallList::take_kernel(std::size_t i, const CallList& other) {
    Call& own = calls_[i];
    own.how.grid = other.calls_[i].how.grid;
    std::memcpy(bytes_.data() + own.first, other.bytes_.data() + own.first, own.bytes);
}

KernelCall CallList::kernel(const Call& call) const {
    addresses_.clear();
    std::size_t at = call.first;
    for (int i = 0; i < call.count; ++i) {
        addresses_.push_back(const_cast<std::byte*>(bytes_.data()) + at);  // CUDA's parameter lists have no const; it copies
        at += round_up(call.sizes[i]);
    }
    return {call.kernel, addresses_.data(), call.sizes, call.count, call.invoke};
}

Status CallList::enqueue(std::size_t i, NativeStream stream) const {
    const Call& call = calls_[i];
    return call.kernel != nullptr ? enqueue_now(call.how, kernel(call), stream) : call.enqueue(bytes_.data() + call.first, stream);
}

Status CallList::change(std::size_t i, GraphExecHandle exec, GraphNodeHandle node) const {
    return change_kernel(exec, node, calls_[i].how, kernel(calls_[i]));
}

}  // namespace tandem::cuda
