// What `tandem doctor` says about GPUs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace tandem {

/// {"status", "library", "built", "usable", "built_with", "found", "devices": [{"name", "architecture", "memory_bytes", "free_bytes",
/// "multiprocessors", "compiled"}]}; `status` is one line: what is there, or what is missing and what to do.
nlohmann::ordered_json examine_cuda();

/// The same as lines of text, with `indent` before each but the first.
std::string cuda_text(const nlohmann::ordered_json& facts, const std::string& indent);

/// "NCCL 2.28.9", or why GPUs cannot exchange data over it. `tandem train` goes on without it (parallel.transport).
std::string examine_nccl();

}  // namespace tandem
