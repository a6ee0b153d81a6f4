// A stream as ops see it: every call goes through its queue, which passes it on at once or, with device.graphs = on, holds it back until
// there are enough for a graph (graph_cache.h), or somebody asks for what the stream has done.
#pragma once

#include <source_location>
#include <string>

#include "kernels/base/tensor.h"
#include "kernels/cuda/graph_cache.h"

namespace tandem::cuda {

class Queue;

/// What the queues of a backend have in common where graphs are on.
struct Graphs {
    GraphCache cache;
    std::vector<Queue*> queues;  ///< that live
    /// For what waits for the whole device, such as giving back memory. Throws as Queue::flush() does.
    void flush_all();
};

class Queue {
public:
    /// Calls that are held back at most: few enough that the device has work while the host goes on.
    static constexpr std::size_t kMost = 64;

    /// `graphs`: null where calls are passed on at once.
    Queue(NativeStream stream, Graphs* graphs);
    ~Queue();
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    Status enqueue(const Launch& how, const KernelCall& call);
    Status enqueue(const FixedCall& call);
    /// What check() would say of the calls since the last note.
    void note(std::string_view what, std::span<const Tensor> operands, const std::source_location& where);

    /// Passes on what is held back. Throws what check() would have thrown if it had been passed on at once; the rest is dropped.
    void flush();
    /// The device's own stream, behind everything that was enqueued here.
    NativeStream flushed() {
        flush();
        return stream_;
    }

private:
    struct Note {
        std::size_t end = 0;  ///< of calls before this number
        std::string what;
        std::vector<Tensor> operands;
        std::source_location where;
    };

    void make_room();
    [[noreturn]] void fail_as_noted(const GraphCache::Failed& failed) const;

    NativeStream stream_;
    Graphs* graphs_;
    CallList calls_;
    std::vector<Note> notes_;  ///< the first note_count_ of them; the rest keep their memory
    std::size_t note_count_ = 0;
};

}  // namespace tandem::cuda
