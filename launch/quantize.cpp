// tandem quantize: a model directory in four bits, as transformers and bitsandbytes load it.
#include <fmt/format.h>

#include <sstream>

#include "kernels/quant/four_bit.h"
#include "launch/command.h"
#include "launch/left_out.h"
#include "launch/options.h"
#include "parallel/runtime.h"
#include "src/config/units.h"
#include "src/io/json.h"
#include "src/io/model_directory.h"
#include "src/model/quantize_model.h"

namespace tandem {
namespace {

struct Request {
    std::string model, directory, type = "nf4", double_quant = "true", skip_modules;
    QuantizeSettings settings;
    DType compute = DType::BF16;
    bool json = false;
};

void resolve(Request& request, const CommandLine& line) {
    QuantizationSpec& spec = request.settings.spec;
    spec.type = four_bit_type(request.type);
    spec.double_quant = request.double_quant == "true";
    if (!is_block_size(spec.block_size))
        fail(Failure::Configuration, "--block-size {}: expected a power of two from {} to {}", spec.block_size, kLeastBlock, kLargestBlock);
    std::istringstream names(request.skip_modules);
    for (std::string module; std::getline(names, module, ',');) {
        if (module.empty()) fail(Failure::Configuration, "--skip-modules {}: a name is empty", request.skip_modules);
        spec.skip_modules.push_back(module);
    }
    if (line.given("compute-dtype")) request.settings.compute = request.compute;
}

std::string summary_text(const Request& request, const QuantizeSummary& summary) {
    const QuantizationSpec& spec = request.settings.spec;
    std::string text;
    const auto row = [&](const std::string& label, const QuantizeSummary::Module& m) {
        text += fmt::format("{:<12} {:>5} matrices {:>9.1f} M weights {:>12} -> {:>12}\n", label, m.matrices,
                            static_cast<double>(m.weights) / 1e6, human_bytes(m.bytes_before), human_bytes(m.bytes));
    };
    for (const auto& [module, m] : summary.modules) row(module, m);
    row("all", summary.total());
    text += fmt::format("copied as they are: {} tensors, {}\n", summary.kept, human_bytes(summary.kept_bytes));
    return text + fmt::format("wrote {}: {} in blocks of {}{}\n", request.directory, name(spec.type), spec.block_size,
                              spec.double_quant ? " with double quantisation" : "");
}

Json module_json(const QuantizeSummary::Module& m) {
    return {{"matrices", m.matrices}, {"weights", m.weights}, {"bytes_before", m.bytes_before}, {"bytes", m.bytes}};
}

Json summary_json(const Request& request, const QuantizeSummary& summary) {
    const QuantizationSpec& spec = request.settings.spec;
    Json modules = Json::object();
    for (const auto& [module, m] : summary.modules) modules[module] = module_json(m);
    return {{"directory", request.directory},
            {"type", name(spec.type)},
            {"block_size", spec.block_size},
            {"double_quant", spec.double_quant},
            {"skip_modules", spec.skip_modules},
            {"modules", modules},
            {"quantized", module_json(summary.total())},
            {"kept", {{"tensors", summary.kept}, {"bytes", summary.kept_bytes}}},
            {"left_out", summary.left_out}};
}

int run(Runtime& runtime, const std::vector<std::string>& words) {
    Request request;
    CommandLine line(quantize_command, runtime);
    line.argument("DIR", request.model, "Hugging Face model directory in bf16, fp16 or fp32");
    line.argument("OUT", request.directory, "the directory to write; must not exist or be empty");
    line.choice("type", request.type, {"nf4", "fp4"}, "the four-bit type of the linear layers");
    line.choice("double-quant", request.double_quant, {"true", "false"}, "quantise the blocks' scales as well");
    line.option("block-size", request.settings.spec.block_size, kLeastBlock, "weights that share one scale: a power of two up to 4096");
    line.option("skip-modules", request.skip_modules,
                "linear layers to leave as they are, comma-separated: names (down_proj) or paths (model.layers.0); the head always is");
    line.choice("compute-dtype", request.compute, {DType::BF16, DType::F32, DType::F16},
                "what config.json asks transformers to multiply in; without it, the weights' own type");
    line.flag("json", request.json, "what was written as one JSON object on stdout");
    if (!line.parse(words) || runtime.rank() != 0) return 0;  // one rank's work, also under a launcher

    resolve(request, line);
    require_directory("DIR", request.model);
    const QuantizeSummary summary = quantize_model(request.model, request.directory, request.settings);
    warn_left_out(request.model, summary.left_out);
    print_once(runtime, request.json ? dump_json(summary_json(request, summary)) + "\n" : summary_text(request, summary));
    return 0;
}

}  // namespace

const Command quantize_command = {"quantize", "DIR OUT [--type nf4|fp4] [--double-quant true|false] [--skip-modules NAMES] [--json]",
                                  "a model directory in four bits, as bitsandbytes keeps them", run};

}  // namespace tandem
