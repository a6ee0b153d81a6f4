// tandem eval: loss, perplexity and token count of data.validation.
#include <fmt/format.h>

#include <cmath>

#include "launch/command.h"
#include "launch/options.h"
#include "launch/quantization_options.h"
#include "launch/watch.h"
#include "parallel/mesh.h"
#include "parallel/runtime.h"
#include "parallel/transport_check.h"
#include "src/engine/device.h"
#include "src/engine/engine.h"
#include "src/engine/transport.h"
#include "src/io/json.h"
#include "src/model/not_finite.h"
#include "src/plan/capacity.h"
#include "src/plan/library_memory.h"
#include "src/train/evaluate.h"
#include "src/train/run_log.h"

namespace tandem {
namespace {

int eval(Runtime& runtime, const std::vector<std::string>& arguments) {
    std::string file;
    std::vector<Override> overrides;
    bool json = false;
    CommandLine line(eval_command, runtime);
    line.argument("CONFIG", file, "the run's configuration, an INI file").configuration(overrides);
    line.flag("json", json, "print one JSON object");
    if (!line.parse(arguments)) return 0;
    RunConfig config = load_run_config(file, overrides, Purpose::Eval);
    watch(runtime, config.watchdog.deadline);
    const DevicePlace place = place_of_rank(config, runtime.world(), runtime.local_rank(), runtime.hostname());
    config = on_device(config, place);
    const RankLayout layout = resolve_layout(config, runtime.size(), Purpose::Eval);
    const int threads = runtime.threads_per_rank();
    OpenedModel opened = open_model(config, Trained::Nothing);
    if (config.lora.adapter && runtime.rank() == 0) {
        if (const auto warning = other_base(*config.lora.adapter, config.model.path, opened.description, "--method.type qlora "))
            warn(*warning);
    }
    const PlanSubject subject{config, layout, Purpose::Eval, threads};
    const MemoryPlan plan = plan_that_fits(subject, capacity_here(subject, runtime.local_size(), place));
    require_available(plan, runtime.world(), runtime.local_size(), place.backend);
    Device device = make_device(config, threads, place);
    const auto transport = make_transport(config, device, place, runtime.world(), runtime.hostname());
    Mesh mesh(transport.world ? *transport.world : runtime.world(), mesh_of(layout));
    if (transport.world) prove_groups(*device.backend, *device.stream, mesh, group_use(config, Purpose::Eval));
    const StagePlan& stage = plan.stages[static_cast<std::size_t>(mesh.place().pipeline)];
    static_cast<void>(require_card(subject, stage.peak(), device.backend->free_memory(), place, runtime.world(), runtime.local_size(),
                                   runtime.hostname()));
    reserve(device, stage.bytes);
    const TextTools tools = load_text_tools(config);
    LoadedModel model =
        load_model(config, std::move(opened), device,
                   {plan.split.placement(mesh.place()), mesh.tensor(), config.data.max_seq_length, largest_micro_batch(config)});
    const auto data = open_validation_data(config, tools, model.transformer->config().vocabulary, runtime.threads_per_rank(),
                                           evaluation_rows(mesh.sizes(), config.training.micro_batch_size), runtime.world());
    if (!data) fail(Failure::Configuration, "data.validation is missing: there is nothing to evaluate");
    const Outbox outbox = make_outbox(*device.memory, plan.split, mesh.place().pipeline, stage.message);
    const EvaluationResult result = evaluate({*model.transformer, plan.split, mesh, outbox}, *data, config.training.micro_batch_size);
    if (json) {
        Json object = {{"tokens", result.tokens}, {"trained_tokens", result.trained_tokens}};
        put_number(object, "eval_loss", result.loss);
        put_number(object, "eval_perplexity", result.perplexity());
        print_once(runtime, dump_json(object) + "\n");
    } else {
        print_once(runtime, fmt::format("loss {:.6f}, perplexity {:.4f} over {} trained of {} tokens\n", result.loss, result.perplexity(),
                                        result.trained_tokens, result.tokens));
    }
    if (!std::isfinite(result.loss)) fail_not_finite("the loss of data.validation is", config.model.dtype);
    return 0;
}

}  // namespace

const Command eval_command = {"eval", "CONFIG [--section.key value ...]", "loss, perplexity and token count of data.validation", eval};

}  // namespace tandem
