// Queues of work that run as late as they may: when somebody waits. What an earlier wait would have hidden, shows.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

struct CUstream_st {
    struct Item {
        std::uint64_t number;
        std::function<std::string()> work;  ///< empty, or what went wrong
    };
    std::deque<Item> queue;
    std::uint64_t enqueued = 0;  ///< number of the newest

    void push(std::function<std::string()> work) { queue.push_back({++enqueued, std::move(work)}); }
    /// Runs everything up to `number`. Empty, or the first thing that went wrong; what follows it is dropped.
    std::string drain(std::uint64_t number);
};

struct CUevent_st {
    CUstream_st* stream = nullptr;  ///< null: not recorded
    std::uint64_t number = 0;

    [[nodiscard]] bool done() const { return stream == nullptr || stream->queue.empty() || stream->queue.front().number > number; }
};
