// Token by token with a cache of keys and values, on a model that may be split over the ranks of a tensor and a pipeline group.
#pragma once

#include <span>
#include <vector>

#include "src/model/transformer.h"

namespace tandem {

class Decoder {
public:
    /// Caches for `capacity` tokens (MemoryKind::Activations), which live as long as this. `pipeline`: the ranks that hold the other units
    /// of the same model, in their order. All ranks of both groups make the same calls.
    Decoder(Transformer& model, Communicator& pipeline, std::int64_t capacity);

    /// Appends `ids` and gives the logits [vocabulary] of the last of them, on every rank.
    std::vector<float> next(std::span<const std::int32_t> ids);
    [[nodiscard]] std::int64_t length() const { return length_; }
    [[nodiscard]] const ModelConfig& config() const { return model_.config(); }
    [[nodiscard]] DType dtype() const { return model_.dtype(); }

private:
    /// Logits of row `row` of x [own rows, hidden]: fp32 [vocabulary, padded], on the ranks of the last stage.
    void project(const Tensor& x, std::int64_t row, const Tensor& logits);
    Transformer& model_;
    Communicator& pipeline_;
    ArenaScope scope_;
    std::map<int, LayerCache> cache_;
    std::int64_t length_ = 0;
};

/// Logits of every position of a batch, [n, vocabulary], on a model that lies whole on one rank: what tests compare.
std::vector<double> all_logits(Transformer& model, const HostBatch& batch);

}  // namespace tandem
