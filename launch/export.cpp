// tandem export: a checkpoint as what a run hands over at its end.
#include <fmt/format.h>

#include <filesystem>

#include "launch/command.h"
#include "launch/options.h"
#include "parallel/runtime.h"
#include "src/io/model_directory.h"
#include "src/io/model_files.h"
#include "src/train/checkpoint.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

/// A checkpoint file, or the newest whole one of an output directory.
fs::path find_checkpoint(const std::string& given, Communicator& self) {
    if (!fs::exists(given))
        fail(Failure::Configuration, "{}: does not exist; expected a checkpoint (step-N.h5) or a run's output.dir", given);
    if (!fs::is_directory(given)) return given;
    const fs::path inside = fs::is_directory(fs::path(given) / "checkpoints") ? fs::path(given) / "checkpoints" : fs::path(given);
    std::vector<std::string> notes;
    const auto newest = CheckpointStore(inside, 1).newest(self, notes);
    for (const auto& note : notes) warn(note);
    if (!newest) fail(Failure::Configuration, "{}: there is no checkpoint (step-N.h5) in it", given);
    return *newest;
}

int run(Runtime& runtime, const std::vector<std::string>& words) {
    std::string checkpoint, directory;
    std::optional<std::string> model;
    DType dtype = DType::BF16;
    CommandLine line(export_command, runtime);
    line.argument("CHECKPOINT", checkpoint, "a file step-N.h5, or a run's output.dir: its newest checkpoint");
    line.argument("OUT", directory, "the directory to write; must not exist or be empty");
    line.option("model", model, "the base model's directory, where it has moved since");
    line.choice("dtype", dtype, {DType::BF16, DType::F32, DType::F16},
                "element type of a model's weights; without it, the run's (adapters: fp32)");
    if (!line.parse(words) || runtime.rank() != 0) return 0;  // one rank's work, also under a launcher

    const auto self = make_self_communicator();
    const fs::path file = find_checkpoint(checkpoint, *self);
    require_unoccupied(directory);
    const CheckpointHeader header = read_checkpoint_header(file);
    ResultRecipe recipe = header.recipe;
    if (model) recipe.model = *model;
    if (line.given("dtype")) recipe.dtype = dtype;
    if (!recipe.is_adapter()) {
        if (!fs::is_directory(recipe.model) && !is_gguf(recipe.model))
            fail(Failure::Configuration, "{}: the base model {} is not there; name it with --model", file.string(), recipe.model);
        if (fingerprint_model(recipe.model) != header.base)
            fail(Failure::Input, "{}: was trained from another model than {}", file.string(), recipe.model);
    }
    write_result(*self, trained_tensors(file), recipe, directory);
    print_once(runtime,
               fmt::format("wrote {}: {} after step {}\n", directory, recipe.is_adapter() ? "the adapter" : "the model", header.step));
    return 0;
}

}  // namespace

const Command export_command = {"export", "CHECKPOINT OUT [--model DIR] [--dtype bf16|fp32|fp16]",
                                "a checkpoint as PEFT adapter or Hugging Face directory", run};

}  // namespace tandem
