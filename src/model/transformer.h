// The decoder: embedding, blocks, head; one micro-batch forward and backward, or token by token with a cache.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/base/arena.h"
#include "src/model/block.h"
#include "src/model/head.h"
#include "src/model/parameters.h"

namespace tandem {

/// One micro-batch on the host: packed samples, no padding. Lengths: ids, positions, row_ids n; targets n with -100 where
/// the position is not trained (targets are already shifted: what position i should predict).
struct HostBatch {
    std::span<const std::int32_t> ids, targets, positions, cu_seqlens;
    std::span<const std::int64_t> row_ids;
    std::int64_t max_length = 0;
};

/// Whether backward finds a layer's activations as forward left them, or computes them again from the layer's input.
enum class ActivationPolicy : std::uint8_t { Keep, Recompute };

class Transformer {
public:
    /// Allocates every parameter's weight (MemoryKind::Weights) in `dtype`; contents are undefined until they are loaded.
    /// `positions` bounds the rotation tables; `seed` keys the dropout masks.
    Transformer(ModelConfig config, DType dtype, Trained trained, const LoraConfig* lora, std::int64_t positions, std::uint64_t seed,
                Backend& backend, Stream& stream, DeviceMemory& memory);

    [[nodiscard]] const ModelConfig& config() const { return config_; }
    [[nodiscard]] DType dtype() const { return dtype_; }
    [[nodiscard]] ParamTable& parameters() { return table_; }
    [[nodiscard]] Context context() { return {backend_, stream_, memory_[MemoryKind::Workspace]}; }
    [[nodiscard]] DeviceMemory& memory() { return memory_; }

    /// Forward and backward of one micro-batch: adds the sum of its token losses to loss_sum (fp64 [1], device) and d loss_sum
    /// to the gradients of what is trained.
    void train(const HostBatch& batch, ActivationPolicy policy, const Tensor& loss_sum);
    /// Forward alone, without dropout.
    void evaluate(const HostBatch& batch, const Tensor& loss_sum);
    /// Logits of every position, [n, vocabulary] fp32 or fp64, on the host.
    std::vector<double> logits(const HostBatch& batch);

    /// Key/value cache for `capacity` tokens, from MemoryKind::Activations.
    std::vector<LayerCache> make_cache(std::int64_t capacity);
    /// Logits [vocabulary] of the last of `ids`, which follow `length` cached tokens; the cache grows by ids.
    std::vector<float> decode(std::span<const std::int32_t> ids, std::vector<LayerCache>& cache, std::int64_t length);

private:
    struct DeviceBatch {
        BatchView view;
        Tensor ids, trained, targets;
    };
    void wire(const LoraConfig* lora, std::uint64_t seed);
    void allocate_weights();
    void make_rope_tables(std::int64_t positions);
    Linear linear(const LinearShape& shape, const LoraConfig* lora, std::uint64_t seed) const;
    [[nodiscard]] const Parameter* parameter(const std::string& name) const;
    Tensor upload(Arena& arena, std::string_view name, std::span<const std::int32_t> values);
    Tensor upload(Arena& arena, std::string_view name, std::span<const std::int64_t> values);
    DeviceBatch upload(const HostBatch& batch, bool dropout);
    Tensor run_blocks(const DeviceBatch& batch);
    void check_ids(std::span<const std::int32_t> ids, std::string_view what) const;
    [[nodiscard]] std::size_t lowest_trained_block() const;

    ModelConfig config_;
    DType dtype_;
    Backend& backend_;
    Stream& stream_;
    DeviceMemory& memory_;
    std::int64_t positions_;
    ParamTable table_;
    const Parameter* embedding_ = nullptr;
    std::vector<Block> blocks_;
    Head head_;
    Tensor cos_, sin_;
    bool drops_ = false;
};

}  // namespace tandem
