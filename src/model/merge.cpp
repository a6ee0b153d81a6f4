#include "src/model/merge.h"

#include <algorithm>
#include <cmath>

#include "src/io/bitsandbytes_model.h"
#include "src/io/convert.h"
#include "src/io/json.h"
#include "src/io/model_files.h"
#include "src/model/block_quantization.h"
#include "src/model/parameters.h"
#include "src/model/weights.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kBlockElements = std::int64_t{4} << 20;  ///< of a matrix at a time: 16 MiB of fp32

/// Both factors of a matrix in fp32.
struct Factors {
    std::int64_t r = 0;
    float scale = 0;
    std::vector<float> a, b;  ///< [r, in], [out, r]
};

/// Rows [first, first + rows) of W + scale * (B A), in place; the same for any number of threads.
void add_product(const Factors& f, std::int64_t first, std::int64_t rows, std::int64_t columns, float* w) {
#pragma omp parallel
    {
        std::vector<float> buffer(static_cast<std::size_t>(columns));
        float* product = buffer.data();
#pragma omp for schedule(static)
        for (std::int64_t i = 0; i < rows; ++i) {
            std::ranges::fill(buffer, 0.0F);
            for (std::int64_t k = 0; k < f.r; ++k) {
                const float b = f.b[static_cast<std::size_t>((first + i) * f.r + k)];
                const float* a = f.a.data() + k * columns;
#pragma omp simd
                for (std::int64_t j = 0; j < columns; ++j) product[j] += b * a[j];
            }
            float* row = w + i * columns;
#pragma omp simd
            for (std::int64_t j = 0; j < columns; ++j) row[j] += product[j] * f.scale;
        }
    }
}

[[noreturn]] void refuse(const std::string& tensor, std::int64_t element, double value, DType dtype) {
    does_not_hold(fmt::format("merged tensor '{}'", tensor), element, value, dtype, "--dtype");
}

void check_finite(const std::vector<float>& wide, DType dtype, const std::vector<std::byte>& narrow, const std::string& name,
                  std::int64_t first) {
    std::vector<float> back(wide.size());
    convert_elements(dtype, narrow.data(), DType::F32, back.data(), back.size());
    const auto bad = std::ranges::find_if_not(back, [](float x) { return std::isfinite(x); });
    if (bad == back.end()) return;
    const auto at = bad - back.begin();
    refuse(name, first + at, wide[static_cast<std::size_t>(at)], dtype);
}

class Merge {
public:
    Merge(const fs::path& base, const fs::path& adapter, const MergeSettings& settings)
        : settings_(settings),
          model_(load_model_config(base)),
          lora_(load_adapter_config(adapter)),
          files_(base),
          four_bit_(files_),
          base_(base),
          adapter_(adapter),
          rounded_(base_, settings.rounded.value_or(QuantizationSpec{})) {
        // What is in blocks already is not rounded again.
        const QuantizationSpec* spec = settings.rounded && !model_.quantization ? &*settings.rounded : nullptr;
        table_ = list_parameters(model_, Trained::Nothing, &lora_, spec);
        base_.check(table_, false);
        adapter_.check(table_, true);
        if (const auto unused = adapter_.unused(table_); !unused.empty())
            fail(Failure::Input, "{}: tensor '{}' adapts nothing in the model of {}", adapter.string(), unused.front(), base.string());
        for (const Parameter& p : table_) {
            if (!is_adapter_tensor(p.name)) parameters_[p.name] = &p;
        }
    }

    MergeSummary write(const fs::path& base, const fs::path& directory) {
        std::vector<std::string> names;
        std::vector<TensorSpec> specs;
        for (const std::string& name : tensors_in_file_order(files_)) {
            if (four_bit_.is_companion(name)) continue;
            names.push_back(name);
            specs.push_back(spec(name));
        }
        AtomicDirectory out(directory);
        write_config(out.path());
        summary_.left_out = copy_other_files(base, out.path());
        SafetensorsModelWriter writer(out.path(), specs, settings_.max_shard_bytes);
        for (std::size_t i = 0; i < names.size(); ++i) write_tensor(names[i], specs[i], writer);
        writer.commit();
        summary_.bytes = writer.bytes();
        summary_.scale = lora_.scale();
        if (settings_.add_files) settings_.add_files(out.path());
        out.commit();
        return summary_;
    }

private:
    [[nodiscard]] static std::string module_of(const std::string& name) {
        return name.substr(0, name.size() - std::string(".weight").size());
    }
    [[nodiscard]] bool adapted(const std::string& name) const {
        return name.ends_with(".weight") && find_parameter(table_, adapter_tensor_name(module_of(name), 'A')) >= 0;
    }

    [[nodiscard]] TensorSpec spec(const std::string& name) const {
        const FourBitLayout* layout = four_bit_.find(name);
        TensorSpec spec =
            layout != nullptr ? TensorSpec{.name = name, .dtype = layout->original, .shape = layout->shape} : stored_spec(files_, name);
        if (settings_.dtype && files_.tensors().find(name)->second.refused.empty() && is_float(spec.dtype)) {
            spec.dtype = *settings_.dtype;
            spec.type = {};
        }
        return spec;
    }

    void write_config(const fs::path& directory) const {
        Json config = *model_.source;
        config.erase("quantization_config");
        if (settings_.dtype) config[config.contains("dtype") ? "dtype" : "torch_dtype"] = torch_name(*settings_.dtype);
        write_json_file(directory / "config.json", config);
    }

    void write_tensor(const std::string& name, const TensorSpec& spec, SafetensorsModelWriter& writer) {
        const auto& stored = files_.tensors().find(name)->second;
        const bool quantized = four_bit_.find(name) != nullptr;
        const auto parameter = parameters_.find(name);
        const bool rounded = parameter != parameters_.end() && parameter->second->quantized.has_value();
        if (adapted(name)) {
            ++summary_.merged, ++summary_.modules[module_of(name).substr(module_of(name).rfind('.') + 1)];
        } else if (quantized || rounded) {
            ++summary_.dequantized;
        } else if (spec.dtype != stored.dtype && stored.refused.empty()) {
            ++summary_.converted;
        } else {
            ++summary_.kept;
            return copy_tensor(files_, name, writer);
        }
        if (parameter != parameters_.end()) return write_rows(*parameter->second, spec, writer);
        convert(name, spec, writer);
    }

    [[nodiscard]] Factors read_factors(const std::string& module) const {
        Factors f{.r = lora_.r, .scale = static_cast<float>(lora_.scale()), .a = {}, .b = {}};
        const auto read = [&](char factor, std::vector<float>& values) {
            const Parameter& p = table_[static_cast<std::size_t>(find_parameter(table_, adapter_tensor_name(module, factor)))];
            values.resize(static_cast<std::size_t>(p.global.elements()));
            adapter_.read(p, whole_box(p.global), DType::F32, reinterpret_cast<std::byte*>(values.data()));
        };
        read('A', f.a);
        read('B', f.b);
        return f;
    }

    /// A parameter of the model, merged where it is adapted.
    void write_rows(const Parameter& p, const TensorSpec& spec, SafetensorsModelWriter& writer) {
        const bool matrix = p.global.dims() == 2;
        const std::int64_t columns = matrix ? p.global[1] : 1, step = std::max<std::int64_t>(1, kBlockElements / columns);
        const auto factors = adapted(p.name) ? std::optional(read_factors(module_of(p.name))) : std::nullopt;
        std::vector<float> wide;
        std::vector<std::byte> narrow;
        for (std::int64_t first = 0; first < p.global[0]; first += step) {
            const std::int64_t rows = std::min(step, p.global[0] - first);
            wide.resize(static_cast<std::size_t>(rows * columns));
            const Box box = matrix ? Box{{first, 0}, {rows, columns}} : Box{{first}, {rows}};
            rounded_.read(p, box, DType::F32, reinterpret_cast<std::byte*>(wide.data()));
            if (factors) add_product(*factors, first, rows, columns, wide.data());
            narrow.resize(wide.size() * size_of(spec.dtype));
            convert_elements(DType::F32, wide.data(), spec.dtype, narrow.data(), wide.size());
            check_finite(wide, spec.dtype, narrow, p.name, first * columns);
            writer.write(p.name, narrow, static_cast<std::uint64_t>(first * columns) * size_of(spec.dtype));
        }
    }

    /// Elements [first, first + wide.size()) of a tensor that the model has no place for; of one in blocks whole rows.
    void read_unknown(const std::string& name, std::int64_t first, std::vector<double>& wide) const {
        if (const FourBitLayout* layout = four_bit_.find(name)) {
            const std::int64_t columns = layout->shape[1], row = first / columns;
            std::vector<float> values(wide.size());
            four_bit_.read_box(name, row, row + static_cast<std::int64_t>(wide.size()) / columns, 0, columns, values.data());
            std::ranges::copy(values, wide.begin());
            return;
        }
        const DType dtype = files_.at(name).dtype;
        std::vector<std::byte> stored(wide.size() * size_of(dtype));
        files_.read(name, static_cast<std::uint64_t>(first) * size_of(dtype), stored);
        convert_elements(dtype, stored.data(), DType::F64, wide.data(), wide.size());
    }

    /// Such a tensor in another type. It may hold what is not finite (a mask), but nothing becomes so.
    void convert(const std::string& name, const TensorSpec& spec, SafetensorsModelWriter& writer) const {
        const FourBitLayout* layout = four_bit_.find(name);
        const std::int64_t row = layout != nullptr ? layout->shape[1] : 1, all = spec.shape.elements();
        const std::int64_t step = std::max<std::int64_t>(1, kBlockElements / 4 / row) * row;
        std::vector<double> wide, back;
        std::vector<std::byte> narrow;
        for (std::int64_t first = 0; first < all; first += step) {
            wide.resize(static_cast<std::size_t>(std::min(step, all - first)));
            read_unknown(name, first, wide);
            narrow.resize(wide.size() * size_of(spec.dtype));
            convert_elements(DType::F64, wide.data(), spec.dtype, narrow.data(), wide.size());
            back.resize(wide.size());
            convert_elements(spec.dtype, narrow.data(), DType::F64, back.data(), back.size());
            for (std::size_t i = 0; i < wide.size(); ++i) {
                if (std::isfinite(wide[i]) && !std::isfinite(back[i]))
                    refuse(name, first + static_cast<std::int64_t>(i), wide[i], spec.dtype);
            }
            writer.write(name, narrow, static_cast<std::uint64_t>(first) * size_of(spec.dtype));
        }
    }

    const MergeSettings& settings_;
    ModelConfig model_;
    LoraConfig lora_;
    SafetensorsModel files_;
    FourBitTensors four_bit_;
    FileSource base_, adapter_;
    QuantizingSource rounded_;  ///< gives what is not to be rounded as it is
    ParamTable table_;
    std::map<std::string, const Parameter*> parameters_;
    MergeSummary summary_;
};

}  // namespace

MergeSummary merge_adapter(const fs::path& base, const fs::path& adapter, const fs::path& directory, const MergeSettings& settings) {
    require_unoccupied(directory);
    return Merge(base, adapter, settings).write(base, directory);
}

}  // namespace tandem
