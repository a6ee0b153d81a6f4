// Lists of calls that come again and again, as graphs of the device: one call of the host's instead of one for each.
//
// A list that comes for the first time is enqueued call by call; where the same comes again, it is recorded as a graph, and from then on
// the graph is launched. Everything in a list is compared with what the graph has, to the byte: kernels with another grid or other
// arguments (a dropout seed, a learning rate, the lengths of samples) are changed in the graph before its launch, and whatever else
// differs (a product of another shape or at another address) is another list.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

#include "kernels/cuda/call_list.h"

namespace tandem::cuda {

struct GraphCounters {
    std::uint64_t calls = 0;  ///< enqueued, one way or the other
    std::uint64_t calls_in_graphs = 0;
    std::uint64_t launches = 0;  ///< of graphs
    std::uint64_t changed = 0;   ///< kernels that got another grid or other arguments
    std::uint64_t recorded = 0;  ///< graphs made
    std::uint64_t dropped = 0;   ///< graphs given up for others
};

/// "graphs: 9800 of 10000 calls in 160 launches of 12 graphs, 40 kernels changed, 0 graphs dropped"
[[nodiscard]] std::string to_text(const GraphCounters& counters);

class GraphCache {
public:
    struct Limits {
        std::size_t graphs = 1024;
        std::size_t calls = 32768;  ///< in all graphs together: some hundred bytes each here, and what the driver takes
        std::size_t fewest = 4;     ///< shorter lists are never graphs: that would be no faster
        int drops = 2;              ///< a list that was dropped this often is not recorded again
        std::size_t seen = 65536;   ///< lists that are remembered as seen; forgotten together
    };
    GraphCache() : GraphCache(Limits()) {}
    explicit GraphCache(const Limits& limits) : limits_(limits) {}
    /// Waits for nothing: launches that are under way go on.
    ~GraphCache();
    GraphCache(const GraphCache&) = delete;
    GraphCache& operator=(const GraphCache&) = delete;

    /// What kept a list from being enqueued.
    struct Failed {
        Status status;
        std::string_view step;            ///< empty where the call itself failed
        std::optional<std::size_t> call;  ///< its number; absent where it was the list as a whole
    };
    /// Enqueues all calls of the list, in order; those before a failure may have been enqueued.
    [[nodiscard]] Failed run(const CallList& calls, NativeStream stream);

    [[nodiscard]] const GraphCounters& counters() const { return counters_; }

private:
    struct Kept {
        CallList calls;                      ///< as the graph would run them now
        std::vector<GraphNodeHandle> nodes;  ///< of kernels; null for other calls
        GraphHandle graph = nullptr;
        GraphExecHandle exec = nullptr;
    };
    struct Seen {
        std::uint32_t times = 0;
        int drops = 0;
    };
    using Place = std::list<Kept>::iterator;

    Failed enqueue_each(const CallList& calls, NativeStream stream, std::vector<GraphNodeHandle>* nodes);
    Failed record(const CallList& calls, NativeStream stream);
    Failed launch(Kept& kept, const CallList& calls, NativeStream stream);
    [[nodiscard]] Place find(const CallList& calls);
    [[nodiscard]] bool worth_recording(const CallList& calls);
    void make_room(std::size_t calls);
    void drop(Place place);

    Limits limits_;
    GraphCounters counters_;
    std::list<Kept> kept_;                                  ///< the one used last first
    std::unordered_multimap<std::uint64_t, Place> places_;  ///< by topology
    std::unordered_map<std::uint64_t, Seen> seen_;          ///< by topology; that two lists share a number does no harm
    std::size_t kept_calls_ = 0;
};

}  // namespace tandem::cuda
