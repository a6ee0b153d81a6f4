// Checkpoints: output.dir/checkpoints/step-N.h5, one HDF5 file of logical tensors under their canonical names. Which layout
// wrote it does not show in it.
//
//   attributes of the root: format "tandem checkpoint", version, step, seed, skipped, base, data; model, adapter_config (empty where the
//   whole model is trained) and dtype, which say what `tandem export` makes of it; and header_xxh3 over all of them from step on
//   /master/<name>, /exp_avg/<name>, /exp_avg_sq/<name>: every trained parameter, global shape, fp32 (fp64 in fp64 runs),
//   each with the attribute xxh3, the XXH3-64 of its bytes
//
// A file appears under its name complete or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "src/engine/train_state.h"
#include "src/train/result.h"

namespace tandem {

/// What a checkpoint belongs to. The sampler's state is the step: batches are functions of (seed, step).
struct CheckpointHeader {
    std::int64_t step = 0;  ///< completed steps
    std::uint64_t seed = 0;
    std::int64_t skipped = 0;  ///< steps without an update (training.nonfinite = skip): Adam's count is step - skipped
    std::string base;          ///< fingerprint of the base model
    std::string data;          ///< hash of the prepared training data
    ResultRecipe recipe;       ///< what `export` makes of it
};

class CheckpointStore {
public:
    /// `directory`: output.dir/checkpoints, made by the first save.
    CheckpointStore(std::filesystem::path directory, std::int64_t keep);

    /// Writes step-N.h5, then deletes the files of later steps, which an earlier run left, and all but the newest `keep`.
    void save(Context&, const TrainState& state, const CheckpointHeader& header);

    /// The newest file that is whole, its checksums verified. Damaged newer ones are described in `notes`. If there are files and all are
    /// damaged: Input, saying how to start afresh on purpose.
    [[nodiscard]] std::optional<std::filesystem::path> newest(std::vector<std::string>& notes) const;

private:
    [[nodiscard]] std::vector<std::filesystem::path> files() const;  ///< newest first
    std::filesystem::path directory_;
    std::int64_t keep_;
};

/// Throws Input naming file and tensor if anything in the file is damaged.
void verify_checkpoint(const std::filesystem::path& file);

/// Reads masters and moments and publishes the compute copies. A checkpoint of another model (base, names or shapes) is Input.
CheckpointHeader load_checkpoint(Context&, TrainState& state, const std::filesystem::path& file, const std::string& base);

/// Its header, and its masters without a run around them. The file is opened anew for every tensor read.
CheckpointHeader read_checkpoint_header(const std::filesystem::path& file);
TrainedTensors trained_tensors(const std::filesystem::path& file);

/// Identifies a model directory: config.json, and of every safetensors file its size, its header and 64 KiB in every 16 MiB.
std::string fingerprint_model(const std::filesystem::path& directory);

}  // namespace tandem
