// Checkpoints: output.dir/checkpoints/step-N.h5, one HDF5 file of logical tensors under their canonical names. Every rank writes what it
// owns, each byte is written once; any other layout reads it.
//
//   attributes of the root: format "tandem checkpoint", version, step, seed, skipped, base, data; model, adapter_config (empty where the
//   whole model is trained), dtype and adapter_base (only of an adapter over four-bit blocks), which say what `tandem export` makes of it;
//   and header_xxh3 over all of them from step on /master/<name>, /exp_avg/<name>, /exp_avg_sq/<name>: every trained parameter, global
//   shape, fp32 (fp64 in fp64 runs), contiguous /exp_avg_8bit/<name>, /exp_avg_sq_8bit/<name>, /exp_avg_absmax/<name>,
//   /exp_avg_sq_absmax/<name>: of adamw_8bit and paged_adamw_8bit, in place of exp_avg and exp_avg_sq of parameters of 4096 elements and
//   more. Codes: uint8, global shape. absmax: fp32, one of each 256 elements of the row-major tensor, [rows, columns / 256] where 256
//   divides the columns, else [ceil(elements / 256)]. An element of exp_avg is signed[code] * absmax, of exp_avg_sq unsigned[code] *
//   absmax, with bitsandbytes' dynamic maps (kernels/quant/dynamic_map.h) /boxes [n, 8] int64: the boxes of tensors that were written at
//   once, with the XXH3-64 of their bytes. Columns: number of the tensor (of the sorted names in /master), part (0 master, 1 exp_avg, 2
//   exp_avg_sq, 3 exp_avg_8bit, 4 exp_avg_sq_8bit, 5 exp_avg_absmax, 6 exp_avg_sq_absmax), first row, first column, rows, columns (vectors:
//   column 0 of 1), checksum, XXH3-64 of the seven before it
//
// A file appears under its name complete or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "parallel/communicator.h"
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

    /// Writes step-N.h5, then deletes the files of later steps, which an earlier run left, and all but the newest `keep`. `model`
    /// lists the parameters of the whole model. Collective: nothing is begun before every rank has answered, and what fails on one rank
    /// is thrown on all.
    void save(Context&, Communicator& world, const TrainState& state, const ParamTable& model, const CheckpointHeader& header);

    /// The newest file that is whole, its checksums verified. Damaged newer ones are described in `notes`. If there are files and all are
    /// damaged: Input, saying how to start afresh on purpose. Collective, the same answer on every rank.
    [[nodiscard]] std::optional<std::filesystem::path> newest(Communicator& world, std::vector<std::string>& notes) const;

private:
    [[nodiscard]] std::vector<std::filesystem::path> files() const;  ///< newest first
    void remove_others(std::int64_t step) const;
    std::filesystem::path directory_;
    std::int64_t keep_;
};

/// Throws Input naming file and tensor if anything in the file is damaged. Collective: the ranks read a share each.
void verify_checkpoint(const std::filesystem::path& file, Communicator& world);

/// Reads masters and moments of what this rank owns and publishes the compute copies. A checkpoint of another model (base, names or
/// shapes; `model` lists the parameters of the whole one) is Input, and so is one without the moments that this run's optimizer keeps.
/// Collective.
CheckpointHeader load_checkpoint(Context&, Communicator& world, TrainState& state, const ParamTable& model,
                                 const std::filesystem::path& file, const std::string& base);

/// Its header, and its masters without a run around them: one process gives them all. Each is read once, its checksum compared then.
CheckpointHeader read_checkpoint_header(const std::filesystem::path& file);
TrainedTensors trained_tensors(const std::filesystem::path& file);

/// Identifies a model directory: config.json, and of every safetensors file its size, its header and 64 KiB in every 16 MiB.
std::string fingerprint_model(const std::filesystem::path& directory);

}  // namespace tandem
