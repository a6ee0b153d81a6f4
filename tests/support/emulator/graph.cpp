// Launches and graphs. A graph keeps what a stream would have got, kernels with a copy of their arguments: what a launch of it runs is what
// was recorded, unless a kernel was changed.
#include "kernels/cuda/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "tests/support/emulator/block.h"
#include "tests/support/emulator/emulator.h"
#include "tests/support/emulator/streams.h"

namespace {

constexpr int kInvalidValue = 1, kIllegalState = 401;

tandem::emulator::Order order = tandem::emulator::Order::Forward;

}  // namespace

struct CUgraphNode_st {
    std::shared_ptr<const tandem::emulator::Work> kernel;  ///< null for other work
    CUstream_st::Work work;
};

struct CUgraph_st {
    std::vector<std::unique_ptr<CUgraphNode_st>> nodes;
};

struct CUgraphExec_st {
    const CUgraph_st* graph;
    std::vector<CUgraphNode_st> nodes;  ///< as they run now
};

namespace {

std::set<const CUgraph_st*>& graphs() {
    static auto* all = new std::set<const CUgraph_st*>;
    return *all;
}

/// What the stream runs for a kernel.
CUgraphNode_st node_of(tandem::emulator::Work work) {
    auto kernel = std::make_shared<const tandem::emulator::Work>(std::move(work));
    return {kernel, [kernel] { return tandem::emulator::run(*kernel, order); }};
}

/// The launch with its arguments copied; what is wrong with it in `fault`.
tandem::emulator::Work work_of(const tandem::cuda::Launch& how, const tandem::cuda::KernelCall& call, std::string& fault) {
    tandem::emulator::Work work;
    work.name = how.name;
    work.grid = {how.grid.x, how.grid.y, how.grid.z};
    work.block = {how.threads, 1, 1};
    work.shared_bytes = how.shared_bytes;
    work.kernel = call.kernel;
    work.invoke = call.invoke;
    if (how.grid.x > 0x7fffffffU || how.grid.y > 65535 || how.grid.z > 65535)
        fault = fmt::format("{}: a grid of {} x {} x {}", how.name, how.grid.x, how.grid.y, how.grid.z);
    for (int i = 0; i < call.count; ++i) {
        const std::size_t place = (work.arguments.size() + 15) / 16 * 16;
        work.argument_places.push_back(place);
        work.arguments.resize(place + call.sizes[i]);
        std::memcpy(work.arguments.data() + place, call.arguments[i], call.sizes[i]);
    }
    if (work.arguments.size() > 4096) fault = fmt::format("{}: {} bytes of arguments", how.name, work.arguments.size());
    return work;
}

}  // namespace

void CUstream_st::push(Work work) {
    if (recording != nullptr) recording->nodes.push_back(std::make_unique<CUgraphNode_st>(CUgraphNode_st{nullptr, std::move(work)}));
    else queue.push_back({++enqueued, std::move(work)});
}

namespace tandem::emulator {

void set_order(Order wanted) { order = wanted; }
std::uint64_t launches() { return launches_run(); }

}  // namespace tandem::emulator

namespace tandem::cuda {

Status enqueue_now(const Launch& how, const KernelCall& call, NativeStream stream) {
    std::string fault;
    CUgraphNode_st node = node_of(work_of(how, call, fault));
    if (!fault.empty()) return emulator::failed(std::move(fault));
    if (stream->recording != nullptr) stream->recording->nodes.push_back(std::make_unique<CUgraphNode_st>(std::move(node)));
    else stream->push(std::move(node.work));
    return {};
}

Status begin_capture(NativeStream stream) {
    if (stream->recording != nullptr) return {kIllegalState};
    stream->recording = new CUgraph_st;
    return {};
}

Status newest_node(NativeStream stream, GraphNodeHandle* node) {
    if (stream->recording == nullptr || stream->recording->nodes.empty()) return {kIllegalState};
    *node = stream->recording->nodes.back().get();
    return {};
}

Status end_capture(NativeStream stream, GraphHandle* graph) {
    if (stream->recording == nullptr) return {kIllegalState};
    *graph = std::exchange(stream->recording, nullptr);
    graphs().insert(*graph);
    return {};
}

Status instantiate(GraphHandle graph, GraphExecHandle* exec) {
    *exec = new CUgraphExec_st{graph, {}};
    for (const auto& node : graph->nodes) (*exec)->nodes.push_back(*node);
    return {};
}

Status change_kernel(GraphExecHandle exec, GraphNodeHandle node, const Launch& how, const KernelCall& call) {
    if (!graphs().contains(exec->graph)) return {kInvalidValue};
    const auto& nodes = exec->graph->nodes;
    const auto found = std::ranges::find(nodes, node, [](const auto& one) { return one.get(); });
    if (found == nodes.end() || node->kernel == nullptr) return {kInvalidValue};
    const emulator::Work& recorded = *node->kernel;
    if (recorded.kernel != call.kernel || recorded.block.x != how.threads || recorded.shared_bytes != how.shared_bytes)
        return {kInvalidValue};
    std::string fault;
    emulator::Work work = work_of(how, call, fault);
    if (!fault.empty()) return emulator::failed(std::move(fault));
    exec->nodes[static_cast<std::size_t>(found - nodes.begin())] = node_of(std::move(work));
    return {};
}

Status launch_graph(GraphExecHandle exec, NativeStream stream) {
    if (stream->recording != nullptr) return {kIllegalState};
    for (const CUgraphNode_st& node : exec->nodes) stream->push(node.work);
    return {};
}

Status destroy_exec(GraphExecHandle exec) {
    delete exec;
    return {};
}

Status destroy_graph(GraphHandle graph) {
    if (graphs().erase(graph) == 0) return {kInvalidValue};
    delete graph;
    return {};
}

}  // namespace tandem::cuda
