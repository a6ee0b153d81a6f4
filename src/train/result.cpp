#include "src/train/result.h"

#include <cmath>

#include "src/io/convert.h"
#include "src/io/files.h"
#include "src/io/json.h"
#include "src/io/safetensors_writer.h"
#include "src/model/parameters.h"

namespace tandem {
namespace {

/// Converts to `dtype` and refuses values that are not finite: a run never hands over a broken model as a success.
std::vector<std::byte> finite_values(Context& ctx, const TrainState& state, std::size_t parameter, DType dtype) {
    const auto source = state.read(ctx, parameter, StatePart::Master);
    const auto n = source.size() / size_of(state.dtype());
    std::vector<std::byte> values(n * size_of(dtype));
    convert_elements(state.dtype(), source.data(), dtype, values.data(), n);
    std::vector<double> wide(n);
    convert_elements(dtype, values.data(), DType::F64, wide.data(), n);
    for (std::size_t i = 0; i < n; ++i) {
        if (!std::isfinite(wide[i]))
            fail(Failure::Diverged, "trained tensor '{}' has a non-finite element at index {}", state.parameter(parameter).name, i);
    }
    return values;
}

void write_tensors(Context& ctx, const TrainState& state, DType dtype, auto& writer) {
    for (const std::size_t i : state.trained()) writer.write(state.parameter(i).name, finite_values(ctx, state, i, dtype));
    writer.commit();
}

std::vector<TensorSpec> specs(const TrainState& state, DType dtype) {
    std::vector<TensorSpec> list;
    for (const std::size_t i : state.trained()) list.push_back({state.parameter(i).name, dtype, state.parameter(i).global});
    return list;
}

const char* torch_name(DType dtype) {
    switch (dtype) {
        case DType::F64: return "float64";
        case DType::BF16: return "bfloat16";
        case DType::F16: return "float16";
        default: return "float32";
    }
}

}  // namespace

void write_adapter(Context& ctx, const TrainState& state, const ParamTable& table, const LoraConfig& lora, const std::string& base,
                   const std::filesystem::path& directory) {
    AtomicDirectory target(directory);
    write_json_file(target.path() / "adapter_config.json", adapter_config_json(lora, adapted_modules(table), base));
    SafetensorsWriter writer(target.path() / "adapter_model.safetensors", specs(state, DType::F32));
    write_tensors(ctx, state, DType::F32, writer);
    target.commit();
}

void write_model(Context& ctx, const TrainState& state, const std::filesystem::path& base, DType dtype,
                 const std::filesystem::path& directory) {
    AtomicDirectory target(directory);
    Json config = read_json_file(base / "config.json");
    config[config.contains("dtype") ? "dtype" : "torch_dtype"] = torch_name(dtype);
    write_json_file(target.path() / "config.json", config);
    for (const char* file : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json",
                             "chat_template.jinja", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model"}) {
        if (std::filesystem::exists(base / file)) std::filesystem::copy_file(base / file, target.path() / file);
    }
    SafetensorsModelWriter writer(target.path(), specs(state, dtype));
    write_tensors(ctx, state, dtype, writer);
    target.commit();
}

}  // namespace tandem
