#include "src/engine/model_setup.h"

#include <filesystem>

#include "kernels/quant/four_bit.h"
#include "parallel/whereabouts.h"
#include "src/io/model_directory.h"
#include "src/model/parameters.h"
#include "src/model/quantized_weight.h"

namespace tandem {
namespace {

template <class T>
void must_agree(const RunConfig& config, const char* key, const T& typed, const T& adapter) {
    if (config.given(key) && typed != adapter) {
        fail(Failure::Configuration, "{} = {} ({}) contradicts the adapter {}, which has {}; leave the key out or start a fresh adapter",
             key, typed, config.origin(key), *config.lora.adapter, adapter);
    }
}

}  // namespace

std::optional<LoraConfig> resolve_lora(const RunConfig& config) {
    const LoraSection& s = config.lora;
    if (s.adapter) {
        if (!std::filesystem::is_directory(*s.adapter))
            fail(Failure::Configuration, "lora.adapter = {}: there is no such directory", *s.adapter);
        LoraConfig lora = load_adapter_config(*s.adapter);
        must_agree(config, "lora.r", s.r, lora.r);
        must_agree(config, "lora.alpha", s.alpha, lora.alpha);
        must_agree(config, "lora.rslora", s.rslora, lora.rslora);
        if (config.given("lora.dropout")) lora.dropout = s.dropout;  // a property of training, not of the adapter's values
        return lora;
    }
    if (config.method.type == Method::Full) return std::nullopt;
    return LoraConfig{s.r, s.alpha, s.dropout, s.rslora, s.target_modules, {}};
}

std::optional<QuantizationSpec> resolve_quantization(const RunConfig& config, const std::optional<QuantizationSpec>& stored) {
    const QuantizationSection& s = config.quantization;
    if (!stored) {
        if (config.method.type != Method::QLora) return std::nullopt;
        return QuantizationSpec{s.type, s.block_size, s.double_quant, s.skip_modules};
    }
    const auto agree = [&](const char* key, const auto& typed, const auto& found) {
        if (!config.given(key) || typed == found) return;
        fail(Failure::Configuration,
             "{} = {} ({}) contradicts the files of {}, which have {}; leave the key out, or start from the model "
             "in full precision",
             key, typed, config.origin(key), config.model.path, found);
    };
    agree("quantization.type", name(s.type), name(stored->type));
    agree("quantization.block_size", s.block_size, stored->block_size);
    agree("quantization.double_quant", s.double_quant, stored->double_quant);
    return stored;
}

ModelDescription describe_model(const RunConfig& config, Trained trained) {
    require_model("model.path =", config.model.path);
    if (config.method.type == Method::Full && config.lora.adapter) {
        fail(Failure::Configuration, "method.type = full trains the base model and takes no lora.adapter; use method.type = lora");
    }
    ModelDescription description{load_model_config(config.model.path), std::nullopt, trained};
    description.quantization = resolve_quantization(config, description.model.quantization);
    // Evaluation of a bare base has no use for fresh factors, whose product is zero.
    if (trained != Trained::Nothing || config.lora.adapter) description.lora = resolve_lora(config);
    return description;
}

std::unique_ptr<Transformer> make_transformer(const RunConfig& config, const ModelDescription& description, Device& device,
                                              const ModelPlace& place) {
    const TransformerSettings settings{.model = description.model,
                                       .dtype = config.model.dtype,
                                       .trained = description.trained,
                                       .lora = description.lora_or_null(),
                                       .quantization = description.quantization_or_null(),
                                       .seed = config.training.seed,
                                       .positions = place.positions,
                                       .tokens = place.tokens,
                                       .placement = place.placement};
    return std::make_unique<Transformer>(settings, *device.backend, *device.stream, *device.memory, place.tensor);
}

OpenedModel open_model(const RunConfig& config, Trained trained) {
    OpenedModel opened{describe_model(config, trained), nullptr, nullptr, {}};
    const auto& model = opened.description.model;
    const ParamTable listed = whole_model_table(opened.description);
    if (config.model.init == ModelInit::Random) {
        opened.base = std::make_unique<RandomSource>(model, config.training.seed);
    } else {
        auto source = open_model_weights(config.model.path);
        source->check(listed, false);
        opened.unused_tensors = source->unused(listed);
        opened.base = std::move(source);
    }
    if (config.lora.adapter) {
        auto source = std::make_unique<FileSource>(*config.lora.adapter);
        source->check(listed, true);
        if (const auto unused = source->unused(listed); !unused.empty()) {
            fail(Failure::Input, "{}: tensor '{}' adapts nothing in the model of {}", *config.lora.adapter, unused.front(),
                 config.model.path);
        }
        opened.adapter = std::move(source);
    } else {
        opened.adapter = std::make_unique<RandomSource>(model, config.training.seed);
    }
    return opened;
}

LoadedModel load_model(const RunConfig& config, OpenedModel opened, Device& device, const ModelPlace& place) {
    const InPhase loading(Phase::Loading);
    LoadedModel loaded;
    loaded.transformer = make_transformer(config, opened.description, device, place);
    loaded.opened = std::move(opened);
    Context ctx = loaded.transformer->context();
    fill_weights(ctx, loaded.transformer->parameters(), *loaded.opened.base, *loaded.opened.adapter);
    for (const Parameter& p : loaded.transformer->parameters()) {
        if (p.quantized) fill_blocks(ctx, loaded.transformer->group(), p, *loaded.opened.base, config.model.dtype);
    }
    return loaded;
}

void fill_masters(LoadedModel& model, TrainState& state) {
    const InPhase loading(Phase::Loading);
    Context ctx = model.transformer->context();
    std::vector<std::byte> values;
    for (const OwnedBox& owned : state.masters()) {
        const Parameter& p = state.parameter(owned);
        const WeightSource& source = is_adapter_tensor(p.name) ? *model.opened.adapter : *model.opened.base;
        values.resize(state.bytes(owned));
        source.read(p, owned.box, state.dtype(), values.data());
        state.write(ctx, owned, values);
        mark_progress();
    }
    state.publish(ctx);
}

}  // namespace tandem
