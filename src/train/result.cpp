#include "src/train/result.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <sstream>

#include "parallel/whereabouts.h"
#include "src/io/bitsandbytes.h"
#include "src/io/box_io.h"
#include "src/io/convert.h"
#include "src/io/files.h"
#include "src/io/json.h"
#include "src/io/model_directory.h"
#include "src/io/safetensors_writer.h"
#include "src/model/adapter_base.h"
#include "src/train/rank_zero.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

/// Converts piece `i` to `dtype` and refuses values that are not finite: a run never hands over a broken model as a success.
std::vector<std::byte> finite_values(const TrainedTensors& trained, std::size_t i, DType dtype) {
    const auto source = trained.read(i);
    const auto n = source.size() / size_of(trained.dtype);
    std::vector<std::byte> values(n * size_of(dtype));
    convert_elements(trained.dtype, source.data(), dtype, values.data(), n);
    std::vector<double> wide(n);
    convert_elements(dtype, values.data(), DType::F64, wide.data(), n);
    const auto bad = std::ranges::find_if_not(wide, [](double x) { return std::isfinite(x); });
    if (bad == wide.end()) return values;
    const auto& [tensor, box] = trained.pieces[i];
    const auto& [name, shape] = trained.tensors[tensor];
    const bool matrix = shape.dims() == 2;
    const std::int64_t k = bad - wide.begin(), width = matrix ? box.shape[1] : 1, columns = matrix ? shape[1] : 1;
    const std::int64_t index = (box.offset[0] + k / width) * columns + (matrix ? box.offset[1] : 0) + k % width;
    double master = 0;
    convert_elements(trained.dtype, source.data() + static_cast<std::size_t>(k) * size_of(trained.dtype), DType::F64, &master, 1);
    // The checkpoint, which is there by now, has it as it is.
    if (std::isfinite(master)) does_not_hold(fmt::format("trained tensor '{}'", name), index, master, dtype, "tandem export --dtype");
    fail(Failure::Diverged, "trained tensor '{}' has a non-finite element at index {}", name, index);
}

std::vector<TensorSpec> specs(const TrainedTensors& trained, DType dtype) {
    std::vector<TensorSpec> list;
    for (const auto& [name, shape] : trained.tensors) list.push_back({name, dtype, shape});
    return list;
}

std::unique_ptr<SafetensorsModelWriter> start_adapter(const TrainedTensors& trained, const ResultRecipe& recipe,
                                                      const fs::path& directory) {
    write_json_file(directory / "adapter_config.json", Json::parse(recipe.adapter_config));
    constexpr auto kOneFile = std::numeric_limits<std::uint64_t>::max();
    SafetensorsMetadata metadata = {{"format", "pt"}};
    if (!recipe.base.empty()) metadata[kAdapterBaseKey] = recipe.base;
    return std::make_unique<SafetensorsModelWriter>(directory, specs(trained, DType::F32), kOneFile, metadata, "adapter_model");
}

std::unique_ptr<SafetensorsModelWriter> start_model(const TrainedTensors& trained, const ResultRecipe& recipe, const fs::path& directory) {
    const fs::path base = recipe.model;
    Json config = read_model_json(base / "config.json");
    config[config.contains("dtype") ? "dtype" : "torch_dtype"] = torch_name(recipe.dtype);
    config.erase("quantization_config");
    write_json_file(directory / "config.json", config);
    for (const char* file : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json",
                             "chat_template.jinja", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model"}) {
        if (has_model_file(base / file)) write_file_atomically(directory / file, read_model_file(base / file));
    }
    return std::make_unique<SafetensorsModelWriter>(directory, specs(trained, recipe.dtype));
}

/// Where the tensors go, told by the rank that has the writer: temporary name, file, offset, each ended by a zero byte.
std::string to_text(const TrainedTensors& trained, const SafetensorsModelWriter& writer) {
    std::string text;
    for (const auto& [name, shape] : trained.tensors) {
        const TensorSlot slot = writer.slot(name);
        for (const auto& field : {slot.temporary.string(), slot.file.string(), std::to_string(slot.place.offset)}) text += field + '\0';
    }
    return text;
}

std::vector<TensorSlot> slots_from(const std::string& text, const TrainedTensors& trained, DType dtype) {
    std::vector<TensorSlot> slots;
    std::istringstream in(text);
    std::string temporary, file, offset;
    for (const auto& [name, shape] : trained.tensors) {
        std::getline(in, temporary, '\0'), std::getline(in, file, '\0'), std::getline(in, offset, '\0');
        slots.push_back({temporary, file, {std::stoull(offset), dtype, shape}});
    }
    return slots;
}

/// This rank's pieces; returns the bytes of each tensor.
std::vector<std::int64_t> write_pieces(const TrainedTensors& trained, const std::vector<TensorSlot>& slots) {
    std::vector<std::int64_t> written(slots.size(), 0);
    std::map<fs::path, SharedFile> files;
    for (std::size_t i = 0; i < trained.pieces.size(); ++i) {
        const auto& [tensor, box] = trained.pieces[i];
        const TensorSlot& slot = slots[tensor];
        const auto values = finite_values(trained, i, slot.place.dtype);
        SharedFile& file = files.try_emplace(slot.temporary, slot.temporary, slot.file).first->second;
        write_box(file, slot.place, box.offset, box.shape, values);
        mark_progress();
        written[tensor] += static_cast<std::int64_t>(values.size());
    }
    for (auto& [name, file] : files) file.sync();
    return written;
}

}  // namespace

TrainedTensors trained_tensors(Context ctx, const TrainState& state, const ParamTable& model) {
    TrainedTensors trained{{}, state.dtype(), {}, nullptr};
    std::map<std::string, std::size_t> index;
    for (const Parameter& p : model) {
        if (!p.trainable) continue;
        index[p.name] = trained.tensors.size();
        trained.tensors.emplace_back(p.name, p.global);
    }
    std::vector<const OwnedBox*> boxes;
    for (const OwnedBox& box : state.masters()) {
        if (!box.writer) continue;
        trained.pieces.push_back({index.at(state.parameter(box).name), box.box});
        boxes.push_back(&box);
    }
    trained.read = [ctx, &state, boxes](std::size_t i) mutable {
        std::vector<std::byte> values(state.bytes(*boxes[i]));
        state.read(ctx, *boxes[i], values);
        return values;
    };
    return trained;
}

void write_result(Communicator& world, const TrainedTensors& trained, const ResultRecipe& recipe, const fs::path& directory) {
    const InPhase exporting(Phase::Exporting);
    std::optional<AtomicDirectory> target;           // rank 0 alone
    std::unique_ptr<SafetensorsModelWriter> writer;  // has both
    const std::string text = on_rank_zero(world, std::function<std::string()>([&] {
                                              target.emplace(directory);
                                              writer = recipe.is_adapter() ? start_adapter(trained, recipe, target->path())
                                                                           : start_model(trained, recipe, target->path());
                                              return to_text(trained, *writer);
                                          }));
    std::vector<std::int64_t> written(trained.tensors.size(), 0);
    const DType dtype = recipe.is_adapter() ? DType::F32 : recipe.dtype;
    on_every_rank(world, [&] { written = write_pieces(trained, slots_from(text, trained, dtype)); });
    world.sum(written);
    on_rank_zero(world, std::function<void()>([&] {
                     for (std::size_t i = 0; i < written.size(); ++i)
                         writer->count(trained.tensors[i].first, static_cast<std::uint64_t>(written[i]));
                     writer->commit();
                     target->commit();
                 }));
}

}  // namespace tandem
