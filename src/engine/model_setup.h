// From the configuration to a model with its weights in place.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "parallel/communicator.h"
#include "src/config/run_config.h"
#include "src/engine/device.h"
#include "src/engine/train_state.h"
#include "src/model/transformer.h"
#include "src/model/weights.h"

namespace tandem {

struct LoadedModel {
    std::optional<LoraConfig> lora;
    std::unique_ptr<Transformer> transformer;
    std::unique_ptr<WeightSource> base, adapter;  ///< where its values come from
    std::vector<std::string> unused_tensors;      ///< in the files, without a place in the model
};

/// What the run trains: from lora.adapter where it is given (contradicting keys are Configuration errors), else from the keys.
std::optional<LoraConfig> resolve_lora(const RunConfig& config);

/// The transformer that model.path describes, allocated but not filled: reads config.json (and the adapter's) alone.
/// `positions` is the longest sample. For evaluation give Trained::Nothing.
LoadedModel build_model(const RunConfig& config, Device& device, Trained trained, std::int64_t positions);
/// Fills it: pretrained or random weights, adapter or fresh factors. Compute copies are filled; masters are TrainState's (see
/// fill_masters).
void load_weights(const RunConfig& config, LoadedModel& model);
/// Both.
LoadedModel load_model(const RunConfig& config, Device& device, Trained trained, std::int64_t positions);

/// Masters of what is trained, in their full precision, and the compute copies from them.
void fill_masters(LoadedModel& model, TrainState& state);

}  // namespace tandem
