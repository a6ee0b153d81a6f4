#include "src/model/quantize_model.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "kernels/quant/dynamic_map.h"
#include "kernels/quant/four_bit.h"
#include "src/io/convert.h"
#include "src/io/json.h"
#include "src/io/model_files.h"
#include "src/model/block_quantization.h"
#include "src/model/parameters.h"
#include "src/model/quantization_config.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;
namespace suffix = four_bit_suffix;

std::string own_name(const std::string& path) { return path.substr(path.rfind('.') + 1); }

/// Weights of the linear layers to be quantised, with the module's own name.
std::map<std::string, std::string> covered_matrices(const ModelConfig& model, const QuantizationSpec& spec, const fs::path& directory) {
    std::map<std::string, std::string> matrices;
    std::set<std::string> modules, unmatched(spec.skip_modules.begin(), spec.skip_modules.end());
    unmatched.erase("lm_head");
    for (std::int64_t layer = 0; layer < model.layers; ++layer) {
        for (const LinearShape& linear : linear_layers(model, layer)) {
            modules.insert(own_name(linear.path));
            std::erase_if(unmatched, [&](const std::string& skipped) { return matches_module(linear.path, skipped); });
            if (spec.covers(linear.path)) matrices[linear.path + ".weight"] = own_name(linear.path);
        }
    }
    if (!unmatched.empty()) {
        fail(Failure::Configuration, "--skip-modules: '{}' matches no linear layer of this model; there are {}", *unmatched.begin(),
             fmt::join(modules, ", "));
    }
    if (matrices.empty()) {
        fail(Failure::Input, "{}: every linear layer is skipped ({}): nothing is left to quantise", directory.string(),
             fmt::join(spec.skip_modules, ", "));
    }
    return matrices;
}

/// Streams one model into another directory.
class Conversion {
public:
    Conversion(const SafetensorsModel& model, const QuantizationSpec& spec) : model_(model), spec_(spec) {}

    [[nodiscard]] FourBitLayout layout(const std::string& matrix) const {
        const SafetensorsEntry& entry = model_.at(matrix);
        if (entry.dtype != DType::BF16 && entry.dtype != DType::F16 && entry.dtype != DType::F32) {
            fail(Failure::Input, "{}: tensor '{}' is {}; bitsandbytes quantises bf16, fp16 and fp32", model_.file_of(matrix).string(),
                 matrix, name(entry.dtype));
        }
        return {.type = spec_.type,
                .block_size = spec_.block_size,
                .double_quant = spec_.double_quant,
                .original = entry.dtype,
                .shape = entry.shape};
    }

    void write(const std::string& matrix, SafetensorsModelWriter& writer) {
        const FourBitLayout to = layout(matrix);
        const std::size_t element = size_of(to.original);
        std::vector<std::byte> stored;
        const ReadElements read = [&](std::int64_t first, std::span<float> values) {
            stored.resize(values.size() * element);
            model_.read(matrix, static_cast<std::uint64_t>(first) * element, stored);
            convert_elements(to.original, stored.data(), DType::F32, values.data(), values.size());
        };
        const WriteCodes write_codes = [&](std::int64_t first, std::span<const std::uint8_t> packed) {
            writer.write(matrix, std::as_bytes(packed), static_cast<std::uint64_t>(first));
        };
        const auto where = fmt::format("{}: tensor '{}'", model_.file_of(matrix).string(), matrix);
        const BlockScales scales = quantize_matrix(to, where, read, write_codes);
        const auto put = [&](std::string_view end, const auto& numbers) {
            writer.write(matrix + std::string(end), std::as_bytes(std::span(numbers)));
        };
        put(suffix::kMap, stored_map(to.type));
        if (to.double_quant) {
            put(suffix::kAbsmax, scales.codes);
            put(suffix::kNestedAbsmax, scales.nested);
            put(suffix::kNestedMap, dynamic_map(Signedness::Signed));
        } else {
            put(suffix::kAbsmax, scales.absmax);
        }
        const std::string state = quant_state_text(to, scales.offset);
        writer.close(matrix + std::string(suffix::kState) + std::string(name(to.type)), std::as_bytes(std::span(state)));
    }

private:
    const SafetensorsModel& model_;
    const QuantizationSpec& spec_;
};

void write_config(const ModelConfig& model, const QuantizationSpec& spec, DType compute, const fs::path& directory) {
    Json config = *model.source;
    config["quantization_config"] = quantization_config_json(spec, compute, model);
    write_json_file(directory / "config.json", config);
}

}  // namespace

QuantizeSummary::Module QuantizeSummary::total() const {
    Module sum;
    for (const auto& [name, m] : modules) {
        sum.matrices += m.matrices, sum.weights += m.weights;
        sum.bytes_before += m.bytes_before, sum.bytes += m.bytes;
    }
    return sum;
}

QuantizeSummary quantize_model(const fs::path& model, const fs::path& directory, const QuantizeSettings& settings) {
    const ModelConfig config = load_model_config(model);
    if (config.quantization)
        fail(Failure::Input, "{}: is quantised already ({}); start from the model in full precision", model.string(),
             name(config.quantization->type));
    require_unoccupied(directory);
    const auto matrices = covered_matrices(config, settings.spec, model);
    const SafetensorsModel files(model);
    FileSource(model).check(list_parameters(config, Trained::Nothing, nullptr), false);

    Conversion conversion(files, settings.spec);
    QuantizeSummary summary;
    std::vector<TensorSpec> specs;
    for (const std::string& tensor : tensors_in_file_order(files)) {
        const auto matrix = matrices.find(tensor);
        if (matrix == matrices.end()) {
            specs.push_back(stored_spec(files, tensor));
            ++summary.kept, summary.kept_bytes += specs.back().bytes();
            continue;
        }
        QuantizeSummary::Module& module = summary.modules[matrix->second];
        const FourBitLayout layout = conversion.layout(tensor);
        ++module.matrices, module.weights += layout.elements();
        module.bytes_before += files.at(tensor).bytes;
        for (auto& spec : four_bit_specs(tensor, layout)) {
            if (!spec.open) module.bytes += spec.bytes();
            specs.push_back(std::move(spec));
        }
    }
    AtomicDirectory out(directory);
    write_config(config, settings.spec, settings.compute.value_or(conversion.layout(matrices.begin()->first).original), out.path());
    summary.left_out = copy_other_files(model, out.path());
    SafetensorsModelWriter writer(out.path(), specs, settings.max_shard_bytes);
    for (const std::string& tensor : tensors_in_file_order(files)) {
        if (matrices.contains(tensor)) conversion.write(tensor, writer);
        else copy_tensor(files, tensor, writer);
    }
    writer.commit();
    out.commit();
    return summary;
}

}  // namespace tandem
