// tandem merge: an adapter folded into its base.
#include "src/model/merge.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "kernels/quant/four_bit.h"
#include "launch/command.h"
#include "launch/left_out.h"
#include "launch/merge_check.h"
#include "launch/options.h"
#include "launch/quantization_options.h"
#include "parallel/runtime.h"
#include "src/engine/model_setup.h"
#include "src/io/hash.h"
#include "src/io/json.h"
#include "src/io/model_directory.h"
#include "src/model/adapter_base.h"
#include "src/model/model_description.h"
#include "src/plan/capacity.h"
#include "src/train/checkpoint.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

struct Request {
    std::string model, adapter, directory, base = "original";
    QuantizationOptions options;
    DType dtype = DType::BF16;
    bool no_check = false, json = false;
    [[nodiscard]] bool dequantized() const { return base == "dequantized"; }
};

/// The [quantization] section of the run that left the adapter, where its manifest is still beside it. Nothing else is read from it.
void read_manifest(const fs::path& manifest_file, QuantizationSection& section) {
    const Json manifest = read_json_file(manifest_file);
    const auto value = [&](const char* group, const char* key) {
        const auto configuration = get<Json>(manifest, "configuration", manifest_file);
        return get<Json>(get<Json>(configuration, group, manifest_file), key, manifest_file);
    };
    const auto method = get<std::string>(value("method", "type"), "value", manifest_file);
    if (method != "qlora") {
        fail(Failure::Configuration, "--base dequantized: the adapter was trained with method.type = {} ({}), over the base as it is",
             method, manifest_file.string());
    }
    section.type = four_bit_type(get<std::string>(value("quantization", "type"), "value", manifest_file));
    section.double_quant = get<bool>(value("quantization", "double_quant"), "value", manifest_file);
    section.block_size = get<std::int64_t>(value("quantization", "block_size"), "value", manifest_file);
    section.skip_modules = get_or<std::vector<std::string>>(value("quantization", "skip_modules"), "value", {}, manifest_file);
}

QuantizationSection as_section(const QuantizationSpec& spec) {
    return {.type = spec.type, .double_quant = spec.double_quant, .block_size = spec.block_size, .skip_modules = spec.skip_modules};
}

/// How the base was kept while the adapter was trained: as the adapter says, or the manifest of its run, but for what was typed.
QuantizationSpec trained_over(const Request& request, const CommandLine& line) {
    QuantizationSection section;
    const fs::path adapter = fs::path(request.adapter).lexically_normal();
    const fs::path manifest = (adapter.has_filename() ? adapter : adapter.parent_path()).parent_path() / "manifest.json";
    if (const auto recorded = recorded_base(request.adapter)) {
        section = as_section(*recorded);
    } else if (fs::exists(manifest)) {
        read_manifest(manifest, section);
    } else if (!line.given("quantization.type")) {
        warn(
            fmt::format("neither {} nor a manifest.json beside it says over what it was trained; nf4 is assumed "
                        "(--quantization.type)",
                        request.adapter));
    }
    request.options.apply(line, section);
    return {
        .type = section.type, .block_size = section.block_size, .double_quant = section.double_quant, .skip_modules = section.skip_modules};
}

/// What the base passes through on the way, if anything.
std::optional<QuantizationSpec> rounding(const Request& request, const CommandLine& line) {
    const std::string stray = QuantizationOptions::first_given(line);
    const auto stored = load_model_config(request.model).quantization;
    if (!stray.empty() && (stored || !request.dequantized())) {
        fail(Failure::Configuration, "--{}: says what a base passes through before it is merged into; {}", stray,
             stored ? request.model + " is in four bits already" : "needs --base dequantized");
    }
    if (!request.dequantized()) return std::nullopt;
    return stored ? stored : trained_over(request, line);
}

/// OUT/merge.json: what the merged weights are made of.
Json record(const Request& request, const std::optional<QuantizationSpec>& rounded) {
    const fs::path weights = fs::path(request.adapter) / "adapter_model.safetensors";
    return {{"tandem", TANDEM_VERSION},
            {"model", {{"path", request.model}, {"fingerprint", fingerprint_model(request.model)}}},
            {"adapter", {{"path", request.adapter}, {"xxh3", fs::exists(weights) ? hash_file(weights).str() : ""}}},
            {"base", request.base},
            {"quantization", rounded ? quantization_json(*rounded) : Json(nullptr)}};
}

Json check_json(const MergeCheck& check) {
    return {{"tokens", check.tokens},
            {"largest_difference", check.largest_difference},
            {"largest_logit", check.largest_logit},
            {"same_most_likely", check.agreement}};
}

std::string summary_text(const Request& request, const MergeSummary& s, const std::optional<QuantizationSpec>& rounded) {
    std::vector<std::string> modules;
    for (const auto& [module, count] : s.modules) modules.push_back(fmt::format("{} {}", module, count));
    const std::string base = rounded ? fmt::format("the base after a pass through {}", tag(*rounded)) : "the base as it is";
    return fmt::format(
        "merged into {}: {} matrices ({}), scale {:g}\ncopied as they are: {} tensors; converted: {}; dequantised besides: {}\n"
        "wrote {}: {} bytes of weights\n",
        base, s.merged, fmt::join(modules, ", "), s.scale, s.kept, s.converted, s.dequantized, request.directory, s.bytes);
}

/// base + adapter against the merged model, where they fit into memory one after the other.
std::optional<MergeCheck> self_check(const Request& request, const std::optional<QuantizationSpec>& rounded, int threads) {
    if (request.no_check) return std::nullopt;
    const std::size_t need = merge_check_bytes(request.directory), have = available_memory().value_or(machine_memory());
    if (need > have) {
        warn(fmt::format("the merged model was not checked: that takes {} bytes of memory, {} are available", need, have));
        return std::nullopt;
    }
    RunConfig config;
    config.model.path = request.model;
    config.lora.adapter = request.adapter;
    config.method.type = request.dequantized() ? Method::QLora : Method::Lora;
    if (rounded) config.quantization = as_section(*rounded);
    return check_merge(config, request.directory, threads);
}

void declare(CommandLine& line, Request& request) {
    line.argument("OUT", request.directory, "the directory to write; must not exist or be empty");
    line.option("model", request.model, "the base model's directory, also one that is quantised").required();
    line.option("adapter", request.adapter, "PEFT adapter directory").required();
    line.choice("base", request.base, {"original", "dequantized"},
                "merge into the base as it is, or into what a QLoRA adapter was trained over: its linear layers passed through four bits");
    request.options.declare(line, {"nf4", "fp4"},
                            "for --base dequantized; without these four the adapter is asked, then the run's manifest.json beside it");
    line.choice("dtype", request.dtype, {DType::BF16, DType::F32, DType::F16},
                "element type of all weights; without it, each keeps its own");
    line.flag("no-check", request.no_check, "do not compare the merged model with base and adapter");
    line.flag("json", request.json, "what was written as one JSON object on stdout");
}

int run(Runtime& runtime, const std::vector<std::string>& words) {
    Request request;
    CommandLine line(merge_command, runtime);
    declare(line, request);
    if (!line.parse(words) || runtime.rank() != 0) return 0;  // one rank's work, also under a launcher
    require_directory("--model", request.model);
    if (!fs::is_directory(request.adapter)) fail(Failure::Configuration, "--adapter {}: there is no such directory", request.adapter);

    const std::optional<QuantizationSpec> rounded = rounding(request, line);
    MergeSettings settings{.rounded = rounded};
    if (line.given("dtype")) settings.dtype = request.dtype;
    settings.add_files = [&](const fs::path& directory) { write_json_file(directory / "merge.json", record(request, rounded)); };
    const MergeSummary summary = merge_adapter(request.model, request.adapter, request.directory, settings);
    warn_left_out(request.model, summary.left_out);
    const auto check = self_check(request, rounded, runtime.threads_per_rank());
    if (request.json) {
        Json out = record(request, rounded);
        out.update({{"directory", request.directory},
                    {"modules", summary.modules},
                    {"merged", summary.merged},
                    {"kept", summary.kept},
                    {"converted", summary.converted},
                    {"dequantized", summary.dequantized},
                    {"bytes", summary.bytes},
                    {"scale", summary.scale},
                    {"left_out", summary.left_out},
                    {"check", check ? check_json(*check) : Json(nullptr)}});
        print_once(runtime, dump_json(out) + "\n");
        return 0;
    }
    print_once(runtime, summary_text(request, summary, rounded));
    const std::string result =
        check ? fmt::format(
                    "largest difference {:.3g} of two logits (the largest is {:.3g}), same most likely token in {:.0f} % of {} positions",
                    check->largest_difference, check->largest_logit, 100 * check->agreement, check->tokens)
              : "skipped";
    print_once(runtime, fmt::format("check of base + adapter against the merged model, in fp32: {}\n", result));
    return 0;
}

}  // namespace

const Command merge_command = {"merge", "--model DIR --adapter DIR OUT [--base original|dequantized] [--dtype bf16|fp32|fp16] [--json]",
                               "an adapter folded into its base model", run};

}  // namespace tandem
