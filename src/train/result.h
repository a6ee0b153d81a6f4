// What a run hands over: a PEFT adapter directory, or a Hugging Face model directory; made of a run's state at its end, or of a
// checkpoint later.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "src/engine/train_state.h"
#include "src/model/lora.h"

namespace tandem {

/// Everything that was trained, as logical tensors in one type, of which each rank gives a part.
struct TrainedTensors {
    struct Piece {
        std::size_t tensor;
        Box box;
    };
    std::vector<std::pair<std::string, Shape>> tensors;  ///< the whole of it, alike on every rank
    DType dtype;
    std::vector<Piece> pieces;                                ///< this rank's: over all ranks every element once
    std::function<std::vector<std::byte>(std::size_t)> read;  ///< all elements of pieces[i], row-major
};
/// The masters. `model` lists the parameters of the whole model; `state` and the context's backend and stream must outlive what is
/// returned.
[[nodiscard]] TrainedTensors trained_tensors(Context ctx, const TrainState& state, const ParamTable& model);

/// How to write them down.
struct ResultRecipe {
    std::string model;           ///< directory of the base model
    std::string adapter_config;  ///< adapter_config.json; empty: the whole model was trained
    DType dtype = DType::F32;    ///< of a model's weights; adapters are fp32
    std::string base = {};       ///< adapter_base_text() of a base in four-bit blocks; else empty
    [[nodiscard]] bool is_adapter() const { return !adapter_config.empty(); }
};

/// adapter_config.json and adapter_model.safetensors (fp32; see adapter_base.h for what it says of its base); or the base's config.json
/// (its dtype adjusted), tokenizer files and the weights. Every rank writes its pieces. Complete or not at all. Refuses non-finite values
/// (Diverged), and those that the type does not hold (Input). Collective: what fails on one rank is thrown on all.
void write_result(Communicator& world, const TrainedTensors& trained, const ResultRecipe& recipe, const std::filesystem::path& directory);

}  // namespace tandem
