// The answer of `tandem plan`: memory by kind, time by cause, whether it fits and what would make it fit.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "src/plan/capacity.h"
#include "src/plan/hardware.h"
#include "src/plan/time_model.h"

namespace tandem {

struct RunPlan {
    bool fits = false;
    std::int64_t ranks = 1;
    RankLayout layout;
    MemoryPlan memory;
    std::vector<std::size_t> capacity;  ///< of each local rank of a node, bytes
    std::size_t context = 0;            ///< what driver and libraries take besides, bytes
    StepTime time;
    double tokens_per_step = 0, flops_per_token = 0, mfu = 0;
    struct Help {
        Suggestion suggestion;
        double step_seconds;
    };
    std::vector<Help> suggestions;  ///< where it does not fit
    std::vector<std::string> assumptions;
};

/// `ranks` of the hardware's; `threads` of a rank on CPUs, where device.threads does not say. Throws Configuration where the layout does
/// not divide.
[[nodiscard]] RunPlan plan_run(const RunConfig& config, const Hardware& hardware, std::int64_t ranks, int threads);

/// As the interface's table has it; `config` and `hardware` as given to plan_run().
[[nodiscard]] nlohmann::ordered_json to_json(const RunPlan& plan, const RunConfig& config);
/// For people.
[[nodiscard]] std::string to_text(const RunPlan& plan, const RunConfig& config, const Hardware& hardware);

}  // namespace tandem
