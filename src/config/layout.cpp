// Ranks to (data, tensor, pipeline), and the global batch to micro-batches.
#include "kernels/base/error.h"
#include "src/config/load.h"

namespace tandem {

RankLayout resolve_layout(const RunConfig& config, std::int64_t ranks, Purpose purpose) {
    RankLayout layout;
    layout.tensor = config.parallel.tensor;
    layout.pipeline = config.parallel.pipeline;
    const auto others = layout.tensor * layout.pipeline;
    if (!config.parallel.data && ranks % others != 0) {
        const auto* const key = layout.tensor > 1 ? "parallel.tensor" : "parallel.pipeline";
        fail(
            Failure::Configuration,
            "{}: parallel.tensor x parallel.pipeline = {} x {} does not divide the job's {} rank{}; start {} or a multiple of it, or lower "
            "them",
            config.origin(key), layout.tensor, layout.pipeline, ranks, ranks == 1 ? "" : "s", others);
    }
    layout.data = config.parallel.data.value_or(ranks / others);
    if (layout.data * others != ranks) {
        fail(Failure::Configuration,
             "{}: parallel.data x tensor x pipeline = {} x {} x {} = {}, but the job has {} rank{}; start {} or leave parallel.data out",
             config.origin("parallel.data"), layout.data, layout.tensor, layout.pipeline, layout.data * others, ranks,
             ranks == 1 ? "" : "s", layout.data * others);
    }
    if (purpose != Purpose::Train && purpose != Purpose::Plan) return layout;
    const auto global = config.training.global_batch_size;
    const auto together = config.training.micro_batch_size * layout.data;
    if (global % together != 0) {
        const auto below = global / together * together, above = below + together;
        const auto nearest = below == 0 ? fmt::format("{}", above) : fmt::format("{} or {}", below, above);
        fail(Failure::Configuration,
             "{}: training.global_batch_size = {} is not a multiple of training.micro_batch_size x data-parallel ranks = {} x {} = {}; use "
             "{}, or "
             "another number of ranks",
             config.origin("training.global_batch_size"), global, config.training.micro_batch_size, layout.data, together, nearest);
    }
    layout.accumulation = global / together;
    return layout;
}

}  // namespace tandem
