// tandem merge: an adapter folded into its base.
#include "src/model/merge.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "kernels/quant/four_bit.h"
#include "launch/command.h"
#include "launch/merge_check.h"
#include "launch/options.h"
#include "parallel/runtime.h"
#include "src/engine/model_setup.h"
#include "src/io/hash.h"
#include "src/io/json.h"
#include "src/io/model_directory.h"
#include "src/model/model_description.h"
#include "src/plan/capacity.h"
#include "src/train/checkpoint.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

struct Request {
    std::string model, adapter, directory, base = "original", type = "nf4", double_quant = "true";
    QuantizationSection quantization;
    DType dtype = DType::BF16;
    bool no_check = false, json = false;
    [[nodiscard]] bool dequantized() const { return base == "dequantized"; }
};

/// The [quantization] section of the run that left the adapter, where its manifest is still beside it. Nothing else is read from it.
void read_recorded(const fs::path& manifest_file, QuantizationSection& section) {
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

/// How the base was kept while the adapter was trained: as the run's manifest says, but for what was typed.
void resolve_quantization(Request& request, const CommandLine& line) {
    const fs::path adapter = fs::path(request.adapter).lexically_normal();
    const fs::path manifest = (adapter.has_filename() ? adapter : adapter.parent_path()).parent_path() / "manifest.json";
    QuantizationSection typed = request.quantization;
    if (fs::exists(manifest)) read_recorded(manifest, request.quantization);
    if (line.given("quantization.type")) request.quantization.type = four_bit_type(request.type);
    if (line.given("quantization.double_quant")) request.quantization.double_quant = request.double_quant == "true";
    if (line.given("quantization.block_size")) request.quantization.block_size = typed.block_size;
    if (!is_block_size(request.quantization.block_size)) {
        fail(Failure::Configuration, "--quantization.block_size {}: expected a power of two from {} to {}", request.quantization.block_size,
             kLeastBlock, kLargestBlock);
    }
}

Json quantization_json(const QuantizationSpec& spec) {
    return {{"type", name(spec.type)},
            {"block_size", spec.block_size},
            {"double_quant", spec.double_quant},
            {"skip_modules", spec.skip_modules}};
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
std::optional<MergeCheck> self_check(const Request& request, int threads) {
    if (request.no_check) return std::nullopt;
    const std::size_t need = merge_check_bytes(request.directory), have = available_memory().value_or(machine_memory());
    if (need > have) {
        fmt::print(stderr, "tandem: warning: the merged model was not checked: that takes {} bytes of memory, {} are available\n", need,
                   have);
        return std::nullopt;
    }
    RunConfig config;
    config.model.path = request.model;
    config.lora.adapter = request.adapter;
    config.method.type = request.dequantized() ? Method::QLora : Method::Lora;
    config.quantization = request.quantization;
    return check_merge(config, request.directory, threads);
}

void declare(CommandLine& line, Request& request) {
    line.argument("OUT", request.directory, "the directory to write; must not exist or be empty");
    line.option("model", request.model, "the base model's directory, also one that is quantised").required();
    line.option("adapter", request.adapter, "PEFT adapter directory").required();
    line.choice("base", request.base, {"original", "dequantized"},
                "merge into the base as it is, or into what a QLoRA adapter was trained over: its linear layers passed through four bits");
    line.choice("quantization.type", request.type, {"nf4", "fp4"},
                "for --base dequantized; without these three the run's manifest.json beside the adapter is asked");
    line.choice("quantization.double_quant", request.double_quant, {"true", "false"}, "likewise");
    line.option("quantization.block_size", request.quantization.block_size, kLeastBlock, "likewise");
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

    MergeSettings settings;
    if (request.dequantized()) {
        resolve_quantization(request, line);
        const QuantizationSection& q = request.quantization;
        settings.rounded = QuantizationSpec{q.type, q.block_size, q.double_quant, q.skip_modules};
    }
    if (line.given("dtype")) settings.dtype = request.dtype;
    settings.add_files = [&](const fs::path& directory) { write_json_file(directory / "merge.json", record(request, settings.rounded)); };
    const MergeSummary summary = merge_adapter(request.model, request.adapter, request.directory, settings);
    const auto check = self_check(request, runtime.threads_per_rank());
    if (request.json) {
        Json out = record(request, settings.rounded);
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
    print_once(runtime, summary_text(request, summary, settings.rounded));
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
