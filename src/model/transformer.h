// A rank's part of the decoder: its weights, and what each unit (embedding, blocks, head) does with a batch. Who runs which unit when
// is not decided here: src/engine drives training and evaluation, Decoder text generation.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "kernels/base/arena.h"
#include "src/model/batch.h"
#include "src/model/block.h"
#include "src/model/head.h"
#include "src/model/parameters.h"
#include "src/model/placement.h"

namespace tandem {

/// Whether backward finds a layer's activations as forward left them, or computes them again from the layer's input.
enum class ActivationPolicy : std::uint8_t { Keep, Recompute };

struct TransformerSettings {
    ModelConfig model;
    DType dtype = DType::F32;
    Trained trained = Trained::Nothing;
    const LoraConfig* lora = nullptr;
    const QuantizationSpec* quantization = nullptr;
    std::uint64_t seed = 0;      ///< keys the dropout masks
    std::int64_t positions = 0;  ///< of the rotation tables: tokens of a sample at most
    std::int64_t tokens = 0;     ///< of a batch at most: sizes the buffer of the tensor-parallel group
    Placement placement;
};

class Transformer {
public:
    /// Allocates the weights of this rank's parameters (MemoryKind::Weights; scales of four-bit blocks: Quantization); contents are
    /// undefined until they are loaded. `tensor` is the group of tensor-parallel ranks; it is lent a buffer (MemoryKind::Communication).
    Transformer(const TransformerSettings& settings, Backend& backend, Stream& stream, DeviceMemory& memory, Communicator& tensor);
    ~Transformer();
    Transformer(const Transformer&) = delete;
    Transformer& operator=(const Transformer&) = delete;

    [[nodiscard]] const ModelConfig& config() const { return config_; }
    [[nodiscard]] const ModelConfig& local() const { return local_; }  ///< widths of this rank
    [[nodiscard]] DType dtype() const { return dtype_; }
    [[nodiscard]] ParamTable& parameters() { return table_; }
    [[nodiscard]] Context context() { return {backend_, stream_, memory_[MemoryKind::Workspace]}; }
    [[nodiscard]] DeviceMemory& memory() { return memory_; }
    [[nodiscard]] const TensorGroup& group() const { return group_; }
    [[nodiscard]] int head_unit() const { return unit_count(config_) - 1; }
    [[nodiscard]] bool holds(int unit) const { return placement_.holds(unit); }
    [[nodiscard]] VocabularyPart vocabulary_part() const;

    enum class Dropout : std::uint8_t { Off, On };
    /// The batch in `arena`; masks only where the model drops anything.
    DeviceBatch upload(const HostBatch& batch, Arena& arena, Dropout dropout);
    /// x [own rows, hidden], this rank's tokens' rows of the embedding.
    void embed(const DeviceBatch& batch, const Tensor& x);
    void embed_backward(const DeviceBatch& batch, const Tensor& dx);
    [[nodiscard]] const Block& block(int unit) const { return blocks_.at(unit); }
    [[nodiscard]] const Head& head() const { return head_; }
    [[nodiscard]] const Parameter& embedding() const { return *embedding_; }
    [[nodiscard]] Tensor cos() const { return cos_; }
    [[nodiscard]] Tensor sin() const { return sin_; }

private:
    void allocate_weights(const QuantizationSpec* quantization);
    void make_rope_tables(std::int64_t positions);
    void lend_buffer(std::int64_t tokens);
    void wire(const LoraConfig* lora, std::uint64_t seed);
    [[nodiscard]] Block make_block(int layer, const LoraConfig* lora, std::uint64_t seed) const;
    [[nodiscard]] Linear linear(const LinearShape& shape, const LoraConfig* lora, std::uint64_t seed) const;
    [[nodiscard]] const Parameter* parameter(const std::string& name) const;

    ModelConfig config_, local_;
    DType dtype_;
    Backend& backend_;
    Stream& stream_;
    DeviceMemory& memory_;
    TensorGroup group_;
    Placement placement_;
    std::int64_t positions_;
    ParamTable table_;
    const Parameter* embedding_ = nullptr;  ///< also on the last stage where the head is tied
    std::map<int, Block> blocks_;           ///< by unit
    Head head_;
    Tensor cos_, sin_;
    bool drops_ = false;
};

}  // namespace tandem
