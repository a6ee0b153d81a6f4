// Whether a merged model computes what base and adapter do.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "src/config/run_config.h"

namespace tandem {

struct MergeCheck {
    std::int64_t tokens = 0;
    double largest_difference = 0;  ///< of two logits
    double largest_logit = 0;       ///< by magnitude
    double agreement = 0;           ///< part of the positions with the same most likely token
};

/// Bytes that the check of a model takes: all its weights in fp32, and a little beside.
[[nodiscard]] std::size_t merge_check_bytes(const std::filesystem::path& merged);

/// Logits of a few fixed token sequences by the adapted model of `config` (model.path, lora.adapter, and how the base is kept) and by the
/// model in `merged`, one after the other, in fp32 on the processor.
[[nodiscard]] MergeCheck check_merge(const RunConfig& config, const std::filesystem::path& merged, int threads);

}  // namespace tandem
