#include "src/model/weights.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/backend.h"
#include "kernels/base/philox.h"
#include "kernels/base/random_normal.h"
#include "kernels/ops/elementwise.h"
#include "parallel/whereabouts.h"
#include "src/io/bitsandbytes_model.h"
#include "src/io/convert.h"
#include "src/io/safetensors.h"

namespace tandem {
namespace {

constexpr std::int64_t kStagingBytes = std::int64_t{8} << 20;

/// Rows [first, last) of a box.
Box rows_of(const Box& box, std::int64_t first, std::int64_t last) {
    const std::int64_t start = box.offset[0] + first, count = last - first;
    return box.shape.dims() == 2 ? Box{{start, box.offset[1]}, {count, box.shape[1]}} : Box{{start}, {count}};
}

/// A tensor as rows and columns: a vector is one column, as a file's rows are of its first dimension.
struct Extents {
    explicit Extents(const Shape& shape) : rows(shape[0]), columns(shape.elements() / shape[0]) {}
    std::int64_t rows, columns;
};

/// Where element i of a box is in the logical tensor.
struct GlobalIndex {
    GlobalIndex(const Parameter& p, const Box& box)
        : first(box.offset[0]),
          start(box.shape.dims() == 2 ? box.offset[1] : 0),
          width(Extents(box.shape).columns),
          columns(Extents(p.global).columns) {}
    std::int64_t operator()(std::int64_t i) const { return (first + i / width) * columns + start + i % width; }
    std::int64_t first, start, width, columns;
};

void fill(Context& ctx, const Parameter& p, const WeightSource& source) {
    require(p.weight.shape() == p.storage, "parameter {}: weight {}, storage {}", p.name, p.weight.str(), p.storage.str());
    const std::int64_t held = p.box.shape[0];
    const std::int64_t row_bytes = p.weight.row_elements() * static_cast<std::int64_t>(size_of(p.weight.dtype()));
    const std::int64_t rows = std::clamp<std::int64_t>(kStagingBytes / std::max<std::int64_t>(row_bytes, 1), 1, held);
    std::vector<std::byte> staging(static_cast<std::size_t>(rows * row_bytes));
    for (std::int64_t first = 0; first < held; first += rows) {
        const std::int64_t last = std::min(held, first + rows);
        source.read(p, rows_of(p.box, first, last), p.weight.dtype(), staging.data());
        ctx.backend.copy_from_host(ctx.stream, staging.data(), p.weight.rows(first, last));
        ctx.stream.synchronize();
        mark_progress();
    }
    if (held < p.weight.extent(0)) ops::zero(ctx, p.weight.rows(held, p.weight.extent(0)));
}

}  // namespace

void WeightSource::read_codes(const Parameter& p, std::int64_t, std::span<std::uint8_t>) const {
    fail(Failure::Run, "parameter {} has no four-bit blocks where it comes from", p.name);
}
BlockScales WeightSource::read_scales(const Parameter& p) const {
    fail(Failure::Run, "parameter {} has no four-bit blocks where it comes from", p.name);
}

bool is_adapter_tensor(const std::string& name) { return name.starts_with("base_model.model."); }

struct FileSource::Files {
    explicit Files(const std::filesystem::path& directory) : model(directory), four_bit(model) {}
    SafetensorsModel model;
    FourBitTensors four_bit;

    [[nodiscard]] Shape shape_of(const std::string& name) const {
        const FourBitLayout* layout = four_bit.find(name);
        return layout != nullptr ? layout->shape : model.at(name).shape;
    }
    void read(const Parameter& p, const Box& box, DType dtype, std::byte* out) const {
        const std::int64_t first = box.offset[0], last = first + box.shape[0];
        if (four_bit.find(p.name) != nullptr) return dequantize(p, box, dtype, out);
        if (box.shape.dims() == 2) model.read_box(p.name, first, last, box.offset[1], box.offset[1] + box.shape[1], dtype, out);
        else model.read_rows(p.name, first, last, dtype, out);
    }

private:
    /// In fp32, then rounded once.
    void dequantize(const Parameter& p, const Box& box, DType dtype, std::byte* out) const {
        const std::int64_t width = box.shape[1], left = box.offset[1];
        const std::int64_t rows = std::max<std::int64_t>(1, kStagingBytes / (width * std::int64_t{sizeof(float)}));
        std::vector<float> values;
        for (std::int64_t row = 0; row < box.shape[0]; row += rows) {
            const std::int64_t first = box.offset[0] + row, last = first + std::min(rows, box.shape[0] - row);
            values.resize(static_cast<std::size_t>((last - first) * width));
            four_bit.read_box(p.name, first, last, left, left + width, values.data());
            convert_elements(DType::F32, values.data(), dtype, out, values.size());
            out += values.size() * size_of(dtype);
        }
    }
};

FileSource::FileSource(const std::filesystem::path& directory) : files_(std::make_unique<Files>(directory)) {}
FileSource::~FileSource() = default;

void FileSource::check(const ParamTable& table, bool adapter) const {
    for (const Parameter& p : table) {
        if (is_adapter_tensor(p.name) != adapter) continue;
        const Shape found = files_->shape_of(p.name);
        if (found == p.global) continue;
        fail(Failure::Input, "{}: tensor '{}' is {}, the configuration beside it expects {}", files_->model.file_of(p.name).string(),
             p.name, found.str(), p.global.str());
    }
}

void FileSource::read(const Parameter& p, const Box& box, DType dtype, std::byte* out) const {
    files_->read(p, box, dtype, out);
    const std::int64_t bad = first_non_finite(dtype, out, box.shape.elements());
    if (bad < 0) return;
    const std::int64_t index = GlobalIndex(p, box)(bad), columns = Extents(p.global).columns;
    double stored = 0;
    const Box element = box.shape.dims() == 2 ? Box{{index / columns, index % columns}, {1, 1}} : Box{{index}, {1}};
    files_->read(p, element, DType::F64, reinterpret_cast<std::byte*>(&stored));
    refuse_stored(fmt::format("{}: tensor '{}'", files_->model.file_of(p.name).string(), p.name), index, stored, dtype, kTypeOption);
}

bool FileSource::has_blocks(const Parameter& p) const { return files_->four_bit.find(p.name) != nullptr; }

void FileSource::read_codes(const Parameter& p, std::int64_t first, std::span<std::uint8_t> out) const {
    if (!has_blocks(p)) return WeightSource::read_codes(p, first, out);
    files_->four_bit.read_codes(p.name, first, out);
}

BlockScales FileSource::read_scales(const Parameter& p) const {
    if (!has_blocks(p)) return WeightSource::read_scales(p);
    return files_->four_bit.read_scales(p.name);
}

std::uint64_t FileSource::bytes_read() const { return files_->model.bytes_read(); }

std::vector<std::string> FileSource::unused(const ParamTable& table) const {
    std::vector<std::string> names;
    for (const auto& [name, entry] : files_->model.tensors()) {
        if (files_->four_bit.is_companion(name)) continue;
        const bool known = std::any_of(table.begin(), table.end(), [&, &n = name](const Parameter& p) { return p.name == n; });
        if (!known) names.push_back(name);
    }
    return names;
}

RandomSource::RandomSource(const ModelConfig& model, std::uint64_t seed)
    : range_(model.initializer_range), norm_(1.0 - model.norm.weight_offset), seed_(seed) {}

/// Elements of the logical tensor from number `first` on.
void RandomSource::draw(const Parameter& p, std::uint64_t first, std::span<double> values) const {
    const auto key = hash_name(p.name);
    if (p.name.ends_with("norm.weight")) {
        std::ranges::fill(values, norm_);
    } else if (p.name.ends_with(".bias") || p.name.ends_with(".lora_B.weight")) {
        std::ranges::fill(values, 0.0);
    } else if (p.name.ends_with(".lora_A.weight")) {
        const double bound = 1.0 / std::sqrt(static_cast<double>(p.global[1]));
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = bound * (2.0 * static_cast<double>(philox(key, seed_, first + i)[0]) * 0x1p-32 - 1.0);
    } else {
        standard_normals(key, seed_, first, values);
        for (double& x : values) x *= range_;
    }
}

void RandomSource::read(const Parameter& p, const Box& box, DType dtype, std::byte* out) const {
    const GlobalIndex global(p, box);
    const std::int64_t n = box.shape.elements();
    std::vector<double> wide(static_cast<std::size_t>(n));
    // Stretches that follow one another in the logical tensor as well. Every element is a function of its own number: any number of
    // threads, and of ranks, draws the same.
    constexpr std::int64_t kStretch = 1 << 15;
    const std::int64_t line = global.width == global.columns ? n : global.width, pieces = (line + kStretch - 1) / kStretch;
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < n / line * pieces; ++i) {
        const std::int64_t first = i / pieces * line + i % pieces * kStretch, last = std::min(first + kStretch, i / pieces * line + line);
        draw(p, static_cast<std::uint64_t>(global(first)),
             std::span(wide).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first)));
    }
    convert_elements(DType::F64, wide.data(), dtype, out, wide.size());
}

void fill_weights(Context& ctx, ParamTable& table, const WeightSource& base, const WeightSource& adapter) {
    for (const Parameter& p : table) {
        if (!p.quantized) fill(ctx, p, is_adapter_tensor(p.name) ? adapter : base);
    }
}

}  // namespace tandem
