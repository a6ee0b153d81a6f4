// From the configuration to a model with its weights in place.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "parallel/communicator.h"
#include "src/config/run_config.h"
#include "src/model/transformer.h"
#include "src/model/weights.h"
#include "src/train/device.h"
#include "src/train/train_state.h"

namespace tandem {

struct LoadedModel {
    std::optional<LoraConfig> lora;
    std::unique_ptr<Transformer> transformer;
    std::unique_ptr<WeightSource> base, adapter;  ///< where its values come from
    std::vector<std::string> unused_tensors;      ///< in the files, without a place in the model
};

/// What the run trains: from lora.adapter where it is given (contradicting keys are Configuration errors), else from the keys.
std::optional<LoraConfig> resolve_lora(const RunConfig& config);

/// Builds the transformer of model.path and fills it: pretrained or random weights, adapter or fresh factors.
/// `positions` is the longest sample. For evaluation give Trained::Nothing.
/// Compute copies are filled; masters are TrainState's (see fill_masters).
LoadedModel load_model(const RunConfig& config, Device& device, Trained trained, std::int64_t positions);

/// Masters of what is trained, in their full precision, and the compute copies from them.
void fill_masters(LoadedModel& model, TrainState& state);

}  // namespace tandem
