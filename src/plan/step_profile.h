// The trainer's own step, timed: whole, and op by op, beside what this machine can do at most.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "kernels/dry/op_counts.h"
#include "src/config/run_config.h"

namespace tandem {

struct StepProfile {
    std::string device;               ///< Backend::description()
    std::string work;                 ///< Backend::work_summary() of the whole steps
    std::int64_t tokens = 0;          ///< of a step, all of them trained
    std::vector<double> seconds;      ///< of each whole step, untimed inside, the first one left out
    double start_seconds = 0;         ///< from nothing to the end of the first step: planning, weights, that step
    double op_seconds = 0;            ///< sum over the ops of one timed step
    OpCounts ops;                     ///< of that step
    double matmul_tflops = 0;         ///< this machine's limit for model.dtype, measured in the same minute
    double memory_gb_s = 0;           ///< likewise, read and written bytes both counted
    double flops_per_token = 0;       ///< useful ones (useful_flops_per_token())
    double matmul_bound_seconds = 0;  ///< of a step that reached that limit in its products and did nothing else
    std::size_t memory_peak_bytes = 0, rss_peak_bytes = 0;
    [[nodiscard]] double median_seconds() const;
    /// Model-FLOPs utilisation: useful flops a second, as a share of matmul_tflops (not of what the maker specifies).
    [[nodiscard]] double mfu() const;
};

/// `steps` optimizer steps of training.global_batch_size full rows of random tokens on one rank: no files but model.path's config.json are
/// read, weights are random.
[[nodiscard]] StepProfile profile_step(const RunConfig& config, int threads, std::int64_t steps);

[[nodiscard]] nlohmann::ordered_json to_json(const StepProfile& profile);
[[nodiscard]] std::string to_text(const StepProfile& profile);

}  // namespace tandem
