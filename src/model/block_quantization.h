// Quantisation of whole matrices on the host, in one pass over their values.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "src/io/bitsandbytes.h"
#include "src/model/quantization.h"
#include "src/model/weights.h"

namespace tandem {

/// Elements [first, first + values.size()) of a matrix, row-major, in fp32.
using ReadElements = std::function<void(std::int64_t first, std::span<float> values)>;
/// Bytes of the packed codes from `first` on.
using WriteCodes = std::function<void(std::int64_t first, std::span<const std::uint8_t> packed)>;

/// Quantises a matrix as bitsandbytes does. Memory: 32 MiB, and the scales in fp32. Input where an element is not finite, named after
/// `where`.
BlockScales quantize_matrix(const FourBitLayout& layout, const std::string& where, const ReadElements& read, const WriteCodes& write);

/// Another source's linear layers, quantised: what an adapter was trained over. Keeps the codes and scales of one matrix at a time.
class QuantizingSource final : public WeightSource {
public:
    /// `source` must outlive this.
    QuantizingSource(const WeightSource& source, QuantizationSpec spec);
    ~QuantizingSource() override;
    void read(const Parameter& p, const Box& box, DType dtype, std::byte* out) const override;
    [[nodiscard]] bool has_blocks(const Parameter& p) const override;
    void read_codes(const Parameter& p, std::int64_t first, std::span<std::uint8_t> out) const override;
    [[nodiscard]] BlockScales read_scales(const Parameter& p) const override;

private:
    struct Matrix;
    [[nodiscard]] std::shared_ptr<const Matrix> quantized(const Parameter& p) const;
    const WeightSource& source_;
    QuantizationSpec spec_;
    mutable std::mutex mutex_;
    mutable std::shared_ptr<const Matrix> matrix_;  ///< the last one that was asked for
};

}  // namespace tandem
