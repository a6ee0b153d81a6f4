// Which weights of a model are kept in four-bit blocks, and how.
#pragma once

#include <string>
#include <vector>

#include "kernels/ops/four_bit_matrix.h"

namespace tandem {

struct QuantizationSpec {
    FourBit type = FourBit::NF4;
    std::int64_t block_size = 64;  ///< elements
    bool double_quant = true;
    /// Linear layers that are left as they are, as transformers' llm_int8_skip_modules names them: a module's own name ("down_proj"), the
    /// end or the beginning of its path.
    std::vector<std::string> skip_modules = {};
    /// The model's files have the blocks (a directory that bitsandbytes wrote); otherwise weights are quantised while they are read.
    bool stored = false;

    /// Whether the linear layer `path` ("model.layers.0.self_attn.q_proj") is quantised. Embedding and head never are.
    [[nodiscard]] bool covers(const std::string& path) const;
};

/// Whether `module` names the linear layer `path` or what contains it.
[[nodiscard]] bool matches_module(const std::string& path, const std::string& module);

}  // namespace tandem
