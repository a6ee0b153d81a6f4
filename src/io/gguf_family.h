// What a GGUF file of a known family becomes in the Hugging Face layout: config.json, and for every tensor its name, shape and
// what llama.cpp's converter did to it. Private to the import.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/io/gguf.h"
#include "src/io/json.h"

namespace tandem::io_detail {

/// What has to be undone.
enum class Undo {
    Nothing,
    Permutation,  ///< rows of each head are interleaved (2, D/2) -> (D/2, 2), for rotation of neighbours instead of halves
    NormOffset,   ///< 1 was added
};

struct ImportTensor {
    std::string gguf, hf;
    Shape shape;
    Undo undo = Undo::Nothing;
    std::int64_t head_rows = 0;  ///< rows of one head, where permuted
};

/// The facts that differ between families; the rest is common to all of them.
struct Family {
    std::string_view architecture;  ///< general.architecture
    std::string_view model_type, model_class, activation;
    Undo qk = Undo::Nothing;
    Undo norms = Undo::Nothing;
    bool qkv_bias = false;
    bool qk_norm = false;
    bool fused = false;       ///< qkv in one matrix, gate and up in another
    bool post_norms = false;  ///< norms after attention and after the MLP as well
    bool always_tied = false;
};

struct Dimensions {
    std::int64_t layers, hidden, intermediate, heads, kv_heads, head_dim, vocabulary, positions;
    double norm_eps, rope_theta;
    bool tied;
    bool attention_bias;
};

struct ImportPlan {
    Family family;
    Dimensions dims;
    std::vector<ImportTensor> tensors;
};

/// Throws Input for a family that is not known, and where the file's tensors are not exactly the family's.
ImportPlan plan_import(const GgufFile& file);

/// config.json without the token ids.
Json hf_config(const GgufFile& file, const ImportPlan& plan, DType dtype);

/// `rope_scaling` of the configuration, null if there is none.
Json rope_scaling(const GgufFile& file, const ImportPlan& plan);

/// Metadata `ARCHITECTURE.suffix`.
std::string family_key(const GgufFile& file, std::string_view suffix);

}  // namespace tandem::io_detail
