#include "kernels/cuda/graph_cache.h"

#include "kernels/cuda/check.h"
#include "kernels/cuda/graph.h"

namespace tandem::cuda {

namespace {

constexpr std::string_view kRecording = "recording a graph", kMaking = "making a graph", kChanging = "changing a graph's kernel",
                           kLaunching = "launching a graph";

}  // namespace

std::string to_text(const GraphCounters& counters) {
    return fmt::format("graphs: {} of {} calls in {} launches of {} graphs, {} kernels changed, {} graphs dropped",
                       counters.calls_in_graphs, counters.calls, counters.launches, counters.recorded, counters.changed, counters.dropped);
}

GraphCache::~GraphCache() {
    while (!kept_.empty()) drop(kept_.begin());
}

GraphCache::Failed GraphCache::run(const CallList& calls, NativeStream stream) {
    counters_.calls += calls.size();
    if (calls.size() < limits_.fewest) return enqueue_each(calls, stream, nullptr);
    Place place = find(calls);
    if (place == kept_.end()) {
        if (!worth_recording(calls)) return enqueue_each(calls, stream, nullptr);
        make_room(calls.size());
        if (const Failed failed = record(calls, stream); !failed.status.ok()) return failed;
        place = kept_.begin();
    }
    kept_.splice(kept_.begin(), kept_, place);
    const Failed failed = launch(*place, calls, stream);
    if (!failed.status.ok()) drop(place);  // some of its kernels may have been changed
    return failed;
}

GraphCache::Failed GraphCache::enqueue_each(const CallList& calls, NativeStream stream, std::vector<GraphNodeHandle>* nodes) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
        if (const Status status = calls.enqueue(i, stream); !status.ok()) return {status, "", i};
        if (nodes == nullptr) continue;
        GraphNodeHandle node = nullptr;
        if (calls.is_kernel(i))
            if (const Status status = newest_node(stream, &node); !status.ok()) return {status, kRecording, i};
        nodes->push_back(node);
    }
    return {};
}

GraphCache::Failed GraphCache::record(const CallList& calls, NativeStream stream) {
    Kept kept;
    if (const Status status = begin_capture(stream); !status.ok()) return {status, kRecording, std::nullopt};
    const Failed failed = enqueue_each(calls, stream, &kept.nodes);
    const Status ended = end_capture(stream, &kept.graph);  // also after a failure, or the stream would record for ever
    if (!failed.status.ok()) return failed;
    if (!ended.ok()) return {ended, kRecording, std::nullopt};
    kept.calls = calls;
    kept_.push_front(std::move(kept));
    kept_calls_ += calls.size();
    places_.emplace(calls.topology(), kept_.begin());
    if (const Status status = instantiate(kept_.front().graph, &kept_.front().exec); !status.ok()) {
        drop(kept_.begin());
        return {status, kMaking, std::nullopt};
    }
    ++counters_.recorded;
    return {};
}

GraphCache::Failed GraphCache::launch(Kept& kept, const CallList& calls, NativeStream stream) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
        if (!calls.is_kernel(i) || kept.calls.same_kernel(i, calls)) continue;
        if (const Status status = calls.change(i, kept.exec, kept.nodes[i]); !status.ok()) return {status, kChanging, i};
        kept.calls.take_kernel(i, calls);
        ++counters_.changed;
    }
    if (const Status status = launch_graph(kept.exec, stream); !status.ok()) return {status, kLaunching, std::nullopt};
    ++counters_.launches;
    counters_.calls_in_graphs += calls.size();
    return {};
}

GraphCache::Place GraphCache::find(const CallList& calls) {
    const auto [first, last] = places_.equal_range(calls.topology());
    for (auto at = first; at != last; ++at)
        if (at->second->calls.same_topology(calls)) return at->second;
    return kept_.end();
}

bool GraphCache::worth_recording(const CallList& calls) {
    if (calls.size() > limits_.calls) return false;
    if (seen_.size() >= limits_.seen) seen_.clear();
    Seen& seen = seen_[calls.topology()];
    return ++seen.times > 1 && seen.drops < limits_.drops;
}

void GraphCache::make_room(std::size_t calls) {
    while (!kept_.empty() && (kept_.size() >= limits_.graphs || kept_calls_ + calls > limits_.calls)) {
        ++seen_[kept_.back().calls.topology()].drops;
        ++counters_.dropped;
        drop(std::prev(kept_.end()));
    }
}

void GraphCache::drop(Place place) {
    const auto [first, last] = places_.equal_range(place->calls.topology());
    for (auto at = first; at != last; ++at) {
        if (at->second != place) continue;
        places_.erase(at);
        break;
    }
    kept_calls_ -= place->calls.size();
    if (place->exec != nullptr) report(destroy_exec(place->exec), "giving back a graph");
    if (place->graph != nullptr) report(destroy_graph(place->graph), "giving back a graph");
    kept_.erase(place);
}

}  // namespace tandem::cuda
