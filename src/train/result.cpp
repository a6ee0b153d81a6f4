#include "src/train/result.h"

#include <cmath>

#include "src/io/convert.h"
#include "src/io/files.h"
#include "src/io/json.h"
#include "src/io/safetensors_writer.h"

namespace tandem {
namespace {

/// Converts to `dtype` and refuses values that are not finite: a run never hands over a broken model as a success.
std::vector<std::byte> finite_values(const TrainedTensors& trained, std::size_t i, DType dtype) {
    const auto source = trained.read(i);
    const auto n = source.size() / size_of(trained.dtype);
    std::vector<std::byte> values(n * size_of(dtype));
    convert_elements(trained.dtype, source.data(), dtype, values.data(), n);
    std::vector<double> wide(n);
    convert_elements(dtype, values.data(), DType::F64, wide.data(), n);
    for (std::size_t k = 0; k < n; ++k) {
        if (!std::isfinite(wide[k]))
            fail(Failure::Diverged, "trained tensor '{}' has a non-finite element at index {}", trained.tensors[i].first, k);
    }
    return values;
}

void write_tensors(const TrainedTensors& trained, DType dtype, auto& writer) {
    for (std::size_t i = 0; i < trained.tensors.size(); ++i) writer.write(trained.tensors[i].first, finite_values(trained, i, dtype));
    writer.commit();
}

std::vector<TensorSpec> specs(const TrainedTensors& trained, DType dtype) {
    std::vector<TensorSpec> list;
    for (const auto& [name, shape] : trained.tensors) list.push_back({name, dtype, shape});
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

void write_adapter(const TrainedTensors& trained, const ResultRecipe& recipe, const std::filesystem::path& directory) {
    write_json_file(directory / "adapter_config.json", Json::parse(recipe.adapter_config));
    SafetensorsWriter writer(directory / "adapter_model.safetensors", specs(trained, DType::F32));
    write_tensors(trained, DType::F32, writer);
}

void write_model(const TrainedTensors& trained, const ResultRecipe& recipe, const std::filesystem::path& directory) {
    const std::filesystem::path base = recipe.model;
    Json config = read_json_file(base / "config.json");
    config[config.contains("dtype") ? "dtype" : "torch_dtype"] = torch_name(recipe.dtype);
    write_json_file(directory / "config.json", config);
    for (const char* file : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json",
                             "chat_template.jinja", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model"}) {
        if (std::filesystem::exists(base / file)) std::filesystem::copy_file(base / file, directory / file);
    }
    SafetensorsModelWriter writer(directory, specs(trained, recipe.dtype));
    write_tensors(trained, recipe.dtype, writer);
}

}  // namespace

TrainedTensors trained_tensors(Context ctx, const TrainState& state) {
    TrainedTensors trained{{}, state.dtype(), nullptr};
    for (const std::size_t i : state.trained()) trained.tensors.emplace_back(state.parameter(i).name, state.parameter(i).global);
    trained.read = [ctx, &state](std::size_t i) mutable { return state.read(ctx, state.trained()[i], StatePart::Master); };
    return trained;
}

void write_result(const TrainedTensors& trained, const ResultRecipe& recipe, const std::filesystem::path& directory) {
    AtomicDirectory target(directory);
    if (recipe.is_adapter()) write_adapter(trained, recipe, target.path());
    else write_model(trained, recipe, target.path());
    target.commit();
}

}  // namespace tandem
