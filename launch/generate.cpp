// tandem generate: text from a prompt, with or without an adapter.
#include "src/model/generate.h"

#include <cmath>
#include <cstdio>
#include <filesystem>

#include "launch/command.h"
#include "launch/options.h"
#include "launch/quantization_options.h"
#include "launch/watch.h"
#include "parallel/runtime.h"
#include "parallel/transport_check.h"
#include "src/engine/model_setup.h"
#include "src/engine/split.h"
#include "src/engine/transport.h"
#include "src/io/json.h"
#include "src/io/model_directory.h"
#include "src/plan/capacity.h"
#include "src/plan/generation_plan.h"
#include "src/plan/library_memory.h"
#include "src/tokenizer/chat_template.h"
#include "src/tokenizer/tokenizer.h"

namespace tandem {
namespace {

struct Request {
    std::string model;
    std::optional<std::string> adapter, prompt, chat;
    GenerateSettings settings;
    std::int64_t max_new_tokens = 256;
    QuantizationOptions quantization;
    RunConfig config;
};

/// A JSON list of messages, or plain text as one turn of the user.
Json chat_messages(const std::string& text) {
    const Json parsed = Json::parse(text, nullptr, false);
    if (parsed.is_array()) return parsed;
    return Json::array({{{"role", "user"}, {"content", text}}});
}

std::vector<std::int32_t> prompt_ids(const Request& request, const Tokenizer& tokenizer) {
    if (!request.chat) return tokenizer.encode(*request.prompt, AddSpecial::Yes);
    const auto chat = ChatTemplate::load(request.model, std::nullopt);
    if (!chat)
        fail(Failure::Input, "{}: the model has no chat template (tokenizer_config.json, chat_template.jinja); use --prompt",
             request.model);
    return tokenizer.encode(chat->render(chat_messages(*request.chat), true), AddSpecial::No);
}

/// Prints whole characters as they come: a token may end inside one.
class TextStream {
public:
    TextStream(const Runtime& runtime, const Tokenizer& tokenizer) : runtime_(runtime), tokenizer_(tokenizer) {}
    void push(std::int32_t id) {
        ids_.push_back(id);
        const std::string text = tokenizer_.decode(ids_, SkipSpecial::Yes);
        if (text.ends_with("\xEF\xBF\xBD")) return;  // U+FFFD: the rest of the character is still to come
        emit(text);
    }
    void finish() {
        emit(tokenizer_.decode(ids_, SkipSpecial::Yes));
        print_once(runtime_, "\n");
    }

private:
    void emit(const std::string& text) {
        if (text.size() <= printed_) return;
        print_once(runtime_, std::string_view(text).substr(printed_));
        printed_ = text.size();
    }
    const Runtime& runtime_;
    const Tokenizer& tokenizer_;
    std::vector<std::int32_t> ids_;
    std::size_t printed_ = 0;
};

constexpr auto kChunk = static_cast<std::int64_t>(kPromptChunk);

/// Arenas for `length` tokens: on a GPU, and under a limit, of the sizes that a rehearsal finds; elsewhere pages come as they are written.
void reserve_for(const Request& request, const ModelDescription& model, const Split& split, const MeshIndex& place, std::int64_t length,
                 const Capacity& capacity, Device& device) {
    if (request.config.device.backend != DeviceBackend::Cuda && !request.config.device.memory_limit)
        return reserve_up_to(device, machine_memory());
    const MemoryBytes need = plan_generation(request.config, model, split, place, length, kChunk);
    if (total(need) > capacity.bytes) {
        fail_for_memory(fmt::format("a rank that generates up to {} tokens in all", length), need, capacity,
                        "; fewer --max-new-tokens, or more ranks by --parallel.pipeline or --parallel.tensor, need less of each");
    }
    reserve(device, need);
}

/// The ranks of the first data-parallel place hold the model between them; others have nothing to do.
void run(Runtime& runtime, Request& request, Device& device, Mesh& mesh, const RankLayout& layout, const Capacity& capacity) {
    request.config.model.path = request.model;
    request.config.lora.adapter = request.adapter;
    request.config.method.type = request.adapter ? Method::Lora : Method::Full;
    if (request.quantization.type != "none") request.config.method.type = Method::QLora;
    require_model("--model", request.model);
    const Tokenizer tokenizer = Tokenizer::load(request.model);
    const auto ids = prompt_ids(request, tokenizer);
    if (ids.empty()) fail(Failure::Configuration, "the prompt is empty");
    const std::int64_t length = static_cast<std::int64_t>(ids.size()) + request.max_new_tokens;
    OpenedModel opened = open_model(request.config, Trained::Nothing);
    if (request.adapter && runtime.rank() == 0) {
        if (const auto warning = other_base(*request.adapter, request.model, opened.description, "")) warn(*warning);
    }
    const Split split = resolve_split(request.config, layout, opened.description);
    reserve_for(request, opened.description, split, mesh.place(), length, capacity, device);
    LoadedModel model =
        load_model(request.config, std::move(opened), device, {split.placement(mesh.place()), mesh.tensor(), length, kChunk});
    Decoder decoder(*model.transformer, mesh.pipeline(), length);
    request.settings.max_new_tokens = request.max_new_tokens;
    request.settings.stop = tokenizer.end_ids();
    TextStream stream(runtime, tokenizer);
    generate(decoder, ids, request.settings, [&](std::int32_t id) {
        stream.push(id);
        return true;
    });
    stream.finish();
}

int generate_text(Runtime& runtime, const std::vector<std::string>& arguments) {
    Request request;
    std::string backend = "auto";
    std::optional<double> deadline;
    GenerateSettings& s = request.settings;
    CommandLine line(generate_command, runtime);
    line.option("model", request.model, "Hugging Face model directory or GGUF file").required();
    line.option("adapter", request.adapter, "PEFT adapter directory");
    line.option("prompt", request.prompt, "text to continue");
    line.option("chat", request.chat, "one user turn, or a JSON list of messages, put into the model's chat template");
    line.option("max-new-tokens", request.max_new_tokens, 1, "tokens to generate at most");
    line.option("temperature", s.temperature, 0, 1e6, "0 = greedy");
    line.option("top-p", s.top_p, 0, 1, "nucleus sampling: the likeliest tokens of at least this probability together");
    line.option("seed", s.seed, "of the draws");
    line.option("parallel.tensor", request.config.parallel.tensor, 1, "ranks over which matrices are split");
    line.option("parallel.pipeline", request.config.parallel.pipeline, 1, "ranks over which layers are split");
    request.quantization.declare(line, {"none", "nf4", "fp4"},
                                 "quantise linear layers while loading, as training with method.type = qlora does: what its adapters were "
                                 "trained over");
    line.choice("device.backend", backend, {"auto", "cpu", "cuda"}, "where to compute; auto: a GPU where one can be used");
    line.choice("model.dtype", request.config.model.dtype, {DType::BF16, DType::F32, DType::F16}, "type of the computation");
    line.bytes("device.memory_limit", request.config.device.memory_limit, "all", "memory each rank may take, as on a card of that size");
    line.seconds("watchdog.deadline", deadline, "how long a token may take before the job is ended; auto: from what others took");
    if (!line.parse(arguments)) return 0;
    if (request.prompt.has_value() == request.chat.has_value()) fail(Failure::Configuration, "give either --prompt or --chat");
    const std::string stray = QuantizationOptions::first_given(line);
    if (request.quantization.type == "none" && !stray.empty() && !line.given("quantization.type"))
        fail(Failure::Configuration, "--{}: needs --quantization.type nf4 or fp4", stray);
    if (request.quantization.type != "none") request.quantization.apply(line, request.config.quantization);
    // A plan of cuDNN's for each length of a prompt takes longer to prepare than it saves.
    request.config.device.attention = AttentionKernels::Own;
    request.config.device.backend = backend == "cpu" ? DeviceBackend::Cpu : backend == "cuda" ? DeviceBackend::Cuda : DeviceBackend::Auto;
    for (const auto* key :
         {"parallel.tensor", "parallel.pipeline", "quantization.type", "quantization.double_quant", "quantization.block_size"}) {
        if (line.given(key)) request.config.origins.push_back({key, "command line"});
    }
    watch(runtime, deadline);
    const RankLayout layout = resolve_layout(request.config, runtime.size(), Purpose::Eval);
    const DevicePlace place = place_of_rank(request.config, runtime.world(), runtime.local_rank(), runtime.hostname());
    request.config = on_device(request.config, place);
    Device device = make_device(request.config, runtime.threads_per_rank(), place);
    const auto transport = make_transport(request.config, device, place, runtime.world(), runtime.hostname());
    Mesh mesh(transport.world ? *transport.world : runtime.world(), mesh_of(layout));
    if (transport.world) prove_groups(*device.backend, *device.stream, mesh, group_use(request.config, Purpose::Eval));
    const PlanSubject subject{request.config, layout, Purpose::Eval, runtime.threads_per_rank()};
    const Capacity capacity = capacity_here(subject, runtime.local_size(), place);
    if (mesh.place().data == 0) run(runtime, request, device, mesh, layout, capacity);
    runtime.world().barrier();
    return 0;
}

}  // namespace

const Command generate_command = {"generate", "--model DIR [--adapter DIR] --prompt TEXT | --chat TEXT", "text from a prompt",
                                  generate_text};

}  // namespace tandem
