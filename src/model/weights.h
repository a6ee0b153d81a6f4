// Where a model's values come from: safetensors files read by ranges, or a random function of seed, name and index.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/context.h"
#include "kernels/quant/block_scales.h"
#include "parallel/param_table.h"
#include "src/model/model_config.h"

namespace tandem {

/// What chooses the type that weights are read in.
inline constexpr std::string_view kTypeOption = "model.dtype";

/// Gives the values of parameters, any box of them, in any floating-point type.
class WeightSource {
public:
    virtual ~WeightSource() = default;
    /// `box` of the logical tensor, row-major and contiguous, to `out`.
    virtual void read(const Parameter& p, const Box& box, DType dtype, std::byte* out) const = 0;

    /// Whether the source has this parameter in four-bit blocks. Then read() gives dequantised values, and the blocks are there as well:
    [[nodiscard]] virtual bool has_blocks(const Parameter&) const { return false; }
    /// Bytes [first, first + out.size()) of the whole matrix's packed codes: element 2j in the high half of byte j, 2j + 1 in the low one.
    virtual void read_codes(const Parameter& p, std::int64_t first, std::span<std::uint8_t> out) const;
    /// Of all its blocks.
    [[nodiscard]] virtual BlockScales read_scales(const Parameter& p) const;
};

/// A model's files.
class StoredSource : public WeightSource {
public:
    /// Names of the files' tensors that `table` (of the whole model, not of a part) has no place for.
    [[nodiscard]] virtual std::vector<std::string> unused(const ParamTable& table) const = 0;
    /// Checks, before anything is read, that every parameter of `table` this source is for (adapter factors or base) is there.
    virtual void check(const ParamTable& table, bool adapter) const = 0;
    /// Bytes of the files, headers included, that were read so far.
    [[nodiscard]] virtual std::uint64_t bytes_read() const = 0;
};
/// Of a Hugging Face directory or a GGUF file.
[[nodiscard]] std::unique_ptr<StoredSource> open_model_weights(const std::filesystem::path& model);

/// Safetensors files of a model or adapter directory, also with matrices in four-bit blocks as bitsandbytes keeps them. Each parameter that
/// is asked for must be there with its shape (Input otherwise, naming file and tensor); a non-finite value or scale is an Input error, and
/// so is a value that is none in the type that is asked for.
class FileSource final : public StoredSource {
public:
    explicit FileSource(const std::filesystem::path& directory);
    ~FileSource() override;
    void read(const Parameter& p, const Box& box, DType dtype, std::byte* out) const override;
    [[nodiscard]] bool has_blocks(const Parameter& p) const override;
    void read_codes(const Parameter& p, std::int64_t first, std::span<std::uint8_t> out) const override;
    [[nodiscard]] BlockScales read_scales(const Parameter& p) const override;
    [[nodiscard]] std::vector<std::string> unused(const ParamTable& table) const override;
    void check(const ParamTable& table, bool adapter) const override;
    [[nodiscard]] std::uint64_t bytes_read() const override;

private:
    struct Files;
    std::unique_ptr<Files> files_;
};

/// Base parameters: normal(0, initializer_range), norms 1, biases 0. LoRA factors as PEFT: A uniform in +-1/sqrt(in)
/// (Kaiming with a = sqrt(5)), B zero. Every element is a function of (seed, name, index).
class RandomSource final : public WeightSource {
public:
    RandomSource(const ModelConfig& model, std::uint64_t seed);
    void read(const Parameter& p, const Box& box, DType dtype, std::byte* out) const override;

private:
    void draw(const Parameter& p, std::uint64_t first, std::span<double> values) const;
    double range_, norm_;
    std::uint64_t seed_;
};

/// Fills the compute copies [storage] with their boxes, LoRA factors from `adapter`, the rest from `base`, through bounded staging.
/// Rows beyond a box become zero. Parameters in four-bit blocks are left to fill_blocks().
void fill_weights(Context&, ParamTable& table, const WeightSource& base, const WeightSource& adapter);

/// Whether `name` is a LoRA factor's name.
[[nodiscard]] bool is_adapter_tensor(const std::string& name);

}  // namespace tandem
