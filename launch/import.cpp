// tandem import: a GGUF file as a Hugging Face directory.
#include <fmt/ranges.h>

#include <cstdio>

#include "launch/command.h"
#include "launch/options.h"
#include "parallel/runtime.h"
#include "src/io/gguf_import.h"
#include "src/io/json.h"

namespace tandem {
namespace {

std::string summary_text(const ImportSummary& summary, const std::string& directory, DType dtype) {
    std::vector<std::string> types;
    for (const auto& [type, count] : summary.tensors_by_block_type) types.push_back(fmt::format("{} of {}", count, type));
    return fmt::format("{}: family {}, {} parameters in {} tensors as {}, {}\ndecoded: {}\nwrote {} bytes: {}\n", directory, summary.family,
                       summary.parameters, summary.tensors, name(dtype), summary.tied ? "head tied to the embedding" : "head of its own",
                       fmt::join(types, ", "), summary.bytes_written, fmt::join(summary.files, " "));
}

Json summary_json(const ImportSummary& summary, const std::string& directory, DType dtype) {
    return {{"directory", directory},
            {"family", summary.family},
            {"parameters", summary.parameters},
            {"tensors", summary.tensors},
            {"dtype", std::string(name(dtype))},
            {"tied", summary.tied},
            {"block_types", summary.tensors_by_block_type},
            {"bytes", summary.bytes_written},
            {"files", summary.files},
            {"warnings", summary.warnings}};
}

int run(Runtime& runtime, const std::vector<std::string>& words) {
    std::string file, directory;
    DType dtype = DType::BF16;
    bool json = false;
    CommandLine line(import_command, runtime);
    line.argument("FILE.gguf", file, "the model; families llama, mistral, qwen2, qwen3, phi3, gemma, gemma2");
    line.argument("DIR", directory, "the directory to write; must not exist or be empty");
    line.choice("dtype", dtype, {DType::BF16, DType::F32, DType::F16}, "element type of the weights");
    line.flag("json", json, "what was written as one JSON object on stdout");
    if (!line.parse(words) || runtime.rank() != 0) return 0;  // one rank's work, also under a launcher

    const auto summary = import_gguf(file, directory, dtype);
    for (const auto& warning : summary.warnings) fmt::print(stderr, "tandem: warning: {}: {}\n", file, warning);
    print_once(runtime, json ? dump_json(summary_json(summary, directory, dtype)) + "\n" : summary_text(summary, directory, dtype));
    return 0;
}

}  // namespace

const Command import_command = {"import", "FILE.gguf DIR [--dtype bf16|fp32|fp16] [--json]", "a GGUF file as a Hugging Face directory",
                                run};

}  // namespace tandem
