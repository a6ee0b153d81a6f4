// manifest.json: everything one needs to know to understand a run later.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/arena.h"
#include "src/config/run_config.h"
#include "src/engine/split.h"
#include "src/io/json.h"
#include "src/model/model_description.h"

namespace tandem {

struct ManifestFacts {
    std::string version;             ///< of the program
    std::vector<std::string> hosts;  ///< of every rank
    const Split* layout = nullptr;
    std::string backend;     ///< Backend::description()
    std::string base, data;  ///< fingerprint of the base model, key of the prepared data
    std::int64_t parameters = 0, trained_parameters = 0, total_steps = 0;
    std::int64_t resumed_at = 0;                     ///< step of the checkpoint, 0 = from the start
    std::vector<MemoryBytes> memory;                 ///< reserved for each kind, of every rank
    std::size_t host_memory = 0;                     ///< of the rank that takes most: paged optimizer states
    std::optional<QuantizationReport> quantization;  ///< of a base in four-bit blocks
    std::string recompute;                           ///< as resolved: "none", "full"
};

Json make_manifest(const RunConfig& config, const ManifestFacts& facts);

}  // namespace tandem
