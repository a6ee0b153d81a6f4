#include "src/train/manifest.h"

#include "src/config/load.h"
#include "src/io/hdf5_file.h"

namespace tandem {

Json to_json(const MemoryBytes& bytes) {
    Json object = Json::object();
    for (std::size_t k = 0; k < kMemoryKinds; ++k) object[std::string(name(static_cast<MemoryKind>(k)))] = bytes[k];
    return object;
}

/// Null where nothing is.
Json quantized(const std::optional<QuantizationReport>& report) {
    if (!report) return nullptr;
    return {{"matrices", report->matrices}, {"weights", report->weights}, {"bytes", report->bytes}, {"modules", report->modules}};
}

Json make_manifest(const RunConfig& config, const ManifestFacts& f) {
    const Json configuration = to_json(config);
    Json by_rank = Json::array();
    for (const MemoryBytes& bytes : f.memory) by_rank.push_back(to_json(bytes));
    return Json{{"schema", 1},
                {"versions", {{"tandem", f.version}, {"hdf5", hdf5_version()}, {"compiler", __VERSION__}}},
                {"hosts", f.hosts},
                {"layout",
                 {{"ranks", f.hosts.size()},
                  {"data", f.layout->sizes.data},
                  {"tensor", f.layout->sizes.tensor},
                  {"pipeline", f.layout->sizes.pipeline},
                  {"zero", f.layout->sharding.zero},
                  {"schedule", name(f.layout->schedule)},
                  {"chunks", f.layout->chunks},
                  {"layers", f.layout->layers()}}},
                {"backend", f.backend},
                {"seed", config.training.seed},
                {"model",
                 {{"path", config.model.path},
                  {"fingerprint", f.base},
                  {"parameters", f.parameters},
                  {"trained_parameters", f.trained_parameters}}},
                {"data", {{"key", f.data}}},
                // reserved_bytes: of rank 0, which every layout has.
                {"memory",
                 {{"reserved_bytes", to_json(f.memory.at(0))},
                  {"reserved_bytes_by_rank", std::move(by_rank)},
                  {"host_bytes", f.host_memory},
                  {"recompute", f.recompute}}},
                {"quantized", quantized(f.quantization)},
                {"total_steps", f.total_steps},
                {"resumed_at_step", f.resumed_at},
                {"configuration", configuration}};
}

}  // namespace tandem
