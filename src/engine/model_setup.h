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
#include "src/model/model_description.h"
#include "src/model/transformer.h"
#include "src/model/weights.h"

namespace tandem {

/// With where its values come from.
struct OpenedModel {
    ModelDescription description;
    std::unique_ptr<WeightSource> base, adapter;
    std::vector<std::string> unused_tensors;  ///< in the files, without a place in the model
};

struct LoadedModel {
    OpenedModel opened;
    std::unique_ptr<Transformer> transformer;
};

/// What the run trains: from lora.adapter where it is given (contradicting keys are Configuration errors), else from the keys.
std::optional<LoraConfig> resolve_lora(const RunConfig& config);

/// How the base is kept: as its files have it where they have four-bit blocks (`stored`; contradicting keys are Configuration errors), else
/// as method.type = qlora asks.
std::optional<QuantizationSpec> resolve_quantization(const RunConfig& config, const std::optional<QuantizationSpec>& stored);

/// Reads config.json (and the adapter's) alone. For evaluation give Trained::Nothing.
ModelDescription describe_model(const RunConfig& config, Trained trained);
/// Which part of a model goes to a rank, and what it will be used for.
struct ModelPlace {
    Placement placement;
    Communicator& tensor;    ///< the tensor-parallel group
    std::int64_t positions;  ///< tokens of a sample at most
    std::int64_t tokens;     ///< tokens of a batch at most
};
/// Allocated, not filled.
std::unique_ptr<Transformer> make_transformer(const RunConfig& config, const ModelDescription& description, Device& device,
                                              const ModelPlace& place);

/// Opens the files and compares them with the description. Nothing is allocated yet: where files and configuration disagree, a
/// lack of memory is not what is wrong.
OpenedModel open_model(const RunConfig& config, Trained trained);
/// The transformer with its compute copies filled: pretrained or random weights, adapter or fresh factors. Masters are TrainState's
/// (see fill_masters).
LoadedModel load_model(const RunConfig& config, OpenedModel opened, Device& device, const ModelPlace& place);

/// Masters of what this rank owns, in their full precision, and the compute copies from them. Collective over the data-parallel ranks.
void fill_masters(LoadedModel& model, TrainState& state);

}  // namespace tandem
