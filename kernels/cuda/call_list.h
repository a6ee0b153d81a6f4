// Calls on a stream, kept as flat bytes, so that they can be enqueued later and compared with those of another time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cuda/launch.cuh"

namespace tandem::cuda {

/// Work other than a kernel: bytes that say all of it and have no padding, and the function that enqueues what they say.
struct FixedCall {
    const char* name;
    Status (*enqueue)(const void* bytes, NativeStream stream);
    std::span<const std::byte> bytes;
};

class CallList {
public:
    void add(const Launch& how, const KernelCall& call);
    void add(const FixedCall& call);
    void clear();

    [[nodiscard]] std::size_t size() const { return calls_.size(); }
    [[nodiscard]] bool empty() const { return calls_.empty(); }
    [[nodiscard]] const char* name(std::size_t i) const { return calls_[i].how.name; }
    [[nodiscard]] bool is_kernel(std::size_t i) const { return calls_[i].kernel != nullptr; }

    /// A number of what same_topology() compares.
    [[nodiscard]] std::uint64_t topology() const { return topology_; }
    /// The same kernels with the same threads and shared memory, and all else the same to the byte, in the same order: these lists are one
    /// graph, but for grids and arguments of kernels.
    [[nodiscard]] bool same_topology(const CallList& other) const;
    /// Whether kernel i has the same grid and arguments in both lists, which are of one topology.
    [[nodiscard]] bool same_kernel(std::size_t i, const CallList& other) const;
    /// Takes grid and arguments of kernel i from `other`, of the same topology.
    void take_kernel(std::size_t i, const CallList& other);

    /// Enqueues call i.
    [[nodiscard]] Status enqueue(std::size_t i, NativeStream stream) const;
    /// change_kernel() of graph.h with kernel i.
    [[nodiscard]] Status change(std::size_t i, GraphExecHandle exec, GraphNodeHandle node) const;

private:
    struct Call {
        Launch how{};  ///< of a fixed call only the name
        const void* kernel = nullptr;
        void (*invoke)(const void* kernel, void** arguments) = nullptr;
        Status (*enqueue)(const void* bytes, NativeStream stream) = nullptr;
        const std::size_t* sizes = nullptr;
        int count = 0;
        std::size_t first = 0, bytes = 0;  ///< of bytes_
    };

    std::byte* append(std::size_t bytes);
    void mix(std::uint64_t word);
    [[nodiscard]] KernelCall kernel(const Call& call) const;

    std::vector<Call> calls_;
    std::vector<std::byte> bytes_;  ///< of all calls; each argument at a multiple of 16
    std::uint64_t topology_ = 0;
    mutable std::vector<void*> addresses_;  ///< of the kernel's arguments that kernel() was asked for last
};

}  // namespace tandem::cuda
