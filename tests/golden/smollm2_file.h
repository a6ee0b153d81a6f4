// Where the tests of SmolLM2-135M-Instruct find its GGUF file and their references.
#pragma once

#include <filesystem>
#include <optional>

#include "kernels/base/error.h"
#include "parallel/runtime.h"
#include "tests/support/program.h"

namespace tandem::test {

constexpr const char* kSmolLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf";
constexpr const char* kSmolLM2Missing =
    "SmolLM2-135M-Instruct.Q4_1.gguf is missing: run launch/fetch-smollm2, or give the file's path in TANDEM_SMOLLM2";

inline std::filesystem::path smollm2_folder() { return source_directory() / "tests/golden/smollm2"; }

/// TANDEM_SMOLLM2 names the file; else it is looked for where launch/fetch-smollm2 puts it.
inline std::optional<std::filesystem::path> find_smollm2() {
    if (const auto given = environment("TANDEM_SMOLLM2")) {
        require(std::filesystem::is_regular_file(*given), "TANDEM_SMOLLM2 = {}: no such file", *given);
        return *given;
    }
    const auto fetched = source_directory() / ".cache/smollm2" / kSmolLM2;
    return std::filesystem::is_regular_file(fetched) ? std::optional(fetched) : std::nullopt;
}

}  // namespace tandem::test
