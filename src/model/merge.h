// An adapter folded into its base: W' = W + scale B A.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/dtype.h"
#include "src/model/quantization.h"

namespace tandem {

struct MergeSettings {
    /// Base weights pass through these blocks first: what a QLoRA adapter was trained over. Without it they are taken as they are.
    std::optional<QuantizationSpec> rounded = {};
    std::optional<DType> dtype = {};                ///< of all weights; absent: each its own, what was quantised its type before
    std::uint64_t max_shard_bytes = 5'000'000'000;  ///< of tensor data
    /// Called with the directory before it gets its name, for files that belong beside the weights.
    std::function<void(const std::filesystem::path&)> add_files = {};
};

struct MergeSummary {
    std::map<std::string, std::int64_t> modules;                        ///< merged matrices by name: "q_proj"
    std::int64_t merged = 0, kept = 0, converted = 0, dequantized = 0;  ///< tensors
    std::uint64_t bytes = 0;                                            ///< of the weights' files
    double scale = 0;                                                   ///< of the product of the factors
    std::vector<std::string> left_out;                                  ///< files of the base's directory that were not copied
};

/// Writes the model of `base` with the PEFT adapter in `adapter` merged into it as a Hugging Face directory in full precision. A merged
/// element is W + scale * (B A) in fp32, summed along the rank in order, rounded once. Streams row blocks: memory is bounded by 64 MiB, an
/// adapter's factors of one matrix, and of a quantised one its scales (with `rounded` its codes as well). Tensors that are neither merged
/// nor converted, and all other files, are copied byte for byte. The directory appears complete or not at all; it must not exist or be
/// empty. Input: an adapter that is not of this base, values that are not finite, before or after.
MergeSummary merge_adapter(const std::filesystem::path& base, const std::filesystem::path& adapter, const std::filesystem::path& directory,
                           const MergeSettings& settings);

}  // namespace tandem
