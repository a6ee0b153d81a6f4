// One decoder layer, forward and backward.
//   h1 = norm(x);  q, k, v = h1 Wqkv (rotated);  o = attention(q, k, v);  x2 = x + o Wo
//   h2 = norm(x2);  y = x2 + (act(h2 Wg) * (h2 Wu)) Wd
// Shapes: n tokens, of which a tensor-parallel rank holds n' = n / ranks rows between the matrices and 1 / ranks of the heads and
// of the feed-forward width inside them; heads, kv_heads and ffn are this rank's (see local_config()). Without a split n' = n.
#pragma once

#include "src/model/linear.h"
#include "src/model/model_config.h"

namespace tandem {

/// What every layer of a micro-batch shares.
struct BatchView {
    const TensorGroup& group;
    Tensor positions = {};      ///< int32 [n]
    Tensor row_ids = {};        ///< int64 [n], absent = no dropout (evaluation)
    Segments segments = {};     ///< samples along the token dimension
    Tensor cos = {}, sin = {};  ///< [positions, rotated / 2]
    [[nodiscard]] std::int64_t tokens() const { return positions.extent(0); }
    [[nodiscard]] LayerRows rows() const { return {group, row_ids}; }
};

/// Key and value rows of the tokens before these, per layer: text generation. Rows [0, length) are filled.
struct LayerCache {
    Tensor k, v;  ///< [capacity, kv_heads, head_dim]
};

/// The same architecture with the heads and the feed-forward width of one of `ranks` tensor-parallel ranks.
[[nodiscard]] ModelConfig local_config(ModelConfig model, int ranks);

class Block {
public:
    Linear q, k, v, o, gate, up, down;
    const Parameter *input_norm = nullptr, *post_norm = nullptr;  ///< [hidden]
    const Parameter *q_norm = nullptr, *k_norm = nullptr;         ///< [head_dim], Qwen3
    std::int64_t window = 0;

    /// What backward needs of forward. Norm outputs and the product of the gated unit are not kept: they are elementwise.
    struct Saved {
        Tensor x, rstd1;                     ///< [n', hidden], [n']
        Tensor q, k, v;                      ///< [n, heads * head_dim], [n, kv_heads * head_dim]; after the rotation
        Tensor q_raw, k_raw;                 ///< before q_norm and k_norm
        Tensor rstd_q, rstd_k;               ///< [n * heads], [n * kv_heads]
        Tensor o, lse;                       ///< [n, heads * head_dim], [heads, n]
        Tensor x2, rstd2;                    ///< [n', hidden], [n']
        Tensor gate, up;                     ///< [n, ffn]
        Tensor u_q, u_k, u_v, u_gate, u_up;  ///< [n, r]: x A^T of each adapted column-parallel layer
        Tensor u_o, u_down;                  ///< [n', r]: of each row-parallel one
    };

    /// Gradients of layers' outputs, kept until the gradients of their weights are formed.
    struct Deferred {
        Tensor q, k, v, gate, up;  ///< [n, width]
        Tensor o, down;            ///< [n', hidden]
    };

    /// y = block(x); saved's tensors come from `arena`. y may be x only if nothing will be run backward.
    Saved forward(Context&, const ModelConfig& local, const BatchView&, Arena& arena, const Tensor& x, const Tensor& y) const;

    /// dx from dy in place; adds to the gradients of what is trained. `needs_dx` false: nothing below is trained, dx is left undefined.
    /// With `deferred` (from reserve_deferred()) the dense weights' gradients are left to backward_weight().
    void backward(Context&, const ModelConfig& local, const BatchView&, const Saved& saved, const Tensor& dy, bool needs_dx,
                  const Deferred* deferred = nullptr) const;
    [[nodiscard]] Deferred reserve_deferred(const ModelConfig& local, const BatchView&, DType dtype, Arena& arena) const;
    void backward_weight(Context&, const ModelConfig& local, const BatchView&, const Saved& saved, const Deferred& deferred) const;

    /// x = block(x) for tokens that follow `length` cached ones; appends their keys and values to the cache.
    void decode(Context&, const ModelConfig& local, const BatchView&, const LayerCache& cache, std::int64_t length, const Tensor& x) const;

    [[nodiscard]] bool trains() const;

private:
    Saved reserve(const ModelConfig&, const BatchView&, std::int64_t own_rows, DType dtype, Arena& arena) const;
    void project_heads(Context&, const ModelConfig&, const BatchView&, const Tensor& x, Saved& saved) const;
    void feed_forward(Context&, const ModelConfig&, const BatchView&, Saved& saved, const Tensor& y) const;
    void feed_forward_backward(Context&, const ModelConfig&, const BatchView&, const Saved& saved, const Tensor& dy,
                               const Deferred* deferred) const;
    void attention_backward(Context&, const ModelConfig&, const BatchView&, const Saved& saved, const Tensor& dy, bool needs_dx,
                            const Deferred* deferred) const;
    [[nodiscard]] Attention attention_parameters(const ModelConfig&) const;
};

}  // namespace tandem
