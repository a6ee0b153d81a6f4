// The four-bit matrices among a model's safetensors files (see bitsandbytes.h).
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/quant/block_scales.h"
#include "src/io/bitsandbytes.h"
#include "src/io/safetensors.h"

namespace tandem {

/// What is wrong with a matrix or a companion is an Input error that names file and tensor. Const calls may come from several threads.
class FourBitTensors {
public:
    /// Finds them and checks types and sizes; of the files' data only the quant states are read. Refuses what other methods than
    /// bitsandbytes' four-bit one leave (LLM.int8).
    explicit FourBitTensors(const SafetensorsModel& model);

    /// By the name of the matrix ("model.layers.0.mlp.up_proj.weight").
    [[nodiscard]] const std::map<std::string, FourBitLayout, std::less<>>& matrices() const { return matrices_; }
    /// Null if the tensor is not one.
    [[nodiscard]] const FourBitLayout* find(std::string_view matrix) const;
    /// Whether a tensor is a companion of one.
    [[nodiscard]] bool is_companion(std::string_view tensor) const { return companions_.find(tensor) != companions_.end(); }

    /// Bytes [first, first + out.size()) of the packed codes.
    void read_codes(std::string_view matrix, std::int64_t first, std::span<std::uint8_t> out) const;
    /// Of all its blocks, finite. The maps beside them must be those that tandem computes with.
    [[nodiscard]] BlockScales read_scales(std::string_view matrix) const;
    /// Rows [first_row, last_row), columns [first_column, last_column): value * scale in fp32, contiguous, through bounded staging and
    /// the scales of the matrix that was read last.
    void read_box(std::string_view matrix, std::int64_t first_row, std::int64_t last_row, std::int64_t first_column,
                  std::int64_t last_column, float* out) const;

private:
    void add(const std::string& state_name);
    void check_size(const std::string& matrix, std::string_view suffix, DType dtype, std::int64_t elements) const;
    void check_codes(const std::string& matrix, const FourBitLayout& layout) const;
    void check_map(const std::string& tensor, std::span<const float> expected) const;
    [[nodiscard]] std::vector<float> read_floats(const std::string& tensor, std::int64_t n) const;
    [[nodiscard]] std::shared_ptr<const std::vector<float>> scales(std::string_view matrix) const;
    [[noreturn]] void wrong(std::string_view tensor, const std::string& what) const;

    const SafetensorsModel& model_;
    std::map<std::string, FourBitLayout, std::less<>> matrices_;
    std::map<std::string, float, std::less<>> offsets_;
    std::map<std::string, std::string, std::less<>> companions_;  ///< and whose
    mutable std::mutex mutex_;
    mutable std::string scales_of_;
    mutable std::shared_ptr<const std::vector<float>> scales_;
};

}  // namespace tandem
