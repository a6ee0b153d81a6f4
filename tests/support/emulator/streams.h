// Queues of work that run as late as they may: when somebody waits. What an earlier wait would have hidden, shows.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "kernels/cuda/handles.h"

struct CUstream_st {
    using Work = std::function<std::string()>;  ///< empty, or what went wrong
    struct Item {
        std::uint64_t number;
        Work work;
    };
    std::deque<Item> queue;
    std::uint64_t enqueued = 0;       ///< number of the newest
    CUgraph_st* recording = nullptr;  ///< takes what is pushed (graph.cpp)

    void push(Work work);
    /// Runs everything up to `number`. Empty, or the first thing that went wrong; what follows it is dropped.
    std::string drain(std::uint64_t number);
};

struct CUevent_st {
    CUstream_st* stream = nullptr;  ///< null: not recorded
    std::uint64_t number = 0;

    [[nodiscard]] bool done() const { return stream == nullptr || stream->queue.empty() || stream->queue.front().number > number; }
};

namespace tandem::emulator {

/// The status of work that ended with this fault, which describe() will tell; ok where there is none.
cuda::Status failed(std::string fault);

}  // namespace tandem::emulator
