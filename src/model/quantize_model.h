// A model directory in four bits, made from one in full precision: what transformers and bitsandbytes load.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/model/quantization.h"

namespace tandem {

struct QuantizeSettings {
    QuantizationSpec spec;
    std::optional<DType> compute;                   ///< bnb_4bit_compute_dtype; absent: what the weights were stored as
    std::uint64_t max_shard_bytes = 5'000'000'000;  ///< of tensor data
};

struct QuantizeSummary {
    struct Module {
        std::int64_t matrices = 0, weights = 0;
        std::uint64_t bytes_before = 0, bytes = 0;  ///< as stored, scales and maps included
    };
    std::map<std::string, Module> modules;  ///< "q_proj"
    std::int64_t kept = 0;                  ///< tensors that were copied as they are
    std::uint64_t kept_bytes = 0;
    std::vector<std::string> left_out;  ///< files of the model's directory that were not copied
    [[nodiscard]] Module total() const;
};

/// Quantises the linear layers of `model` that the spec covers into `directory`, streaming: never more of a matrix than 32 MiB and its
/// scales. Every other tensor and file is copied byte for byte; config.json says how the weights are. `directory` appears complete or not
/// at all; it must not exist or be empty. Configuration: a skipped module that matches no linear layer. Input: nothing to quantise, a
/// model that is quantised already, a weight that is not finite or not bf16, fp16 or fp32.
QuantizeSummary quantize_model(const std::filesystem::path& model, const std::filesystem::path& directory,
                               const QuantizeSettings& settings);

}  // namespace tandem
