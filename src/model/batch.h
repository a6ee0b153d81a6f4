// A micro-batch on its way to the model: as the data layer gives it, and as it lies on the device.
#pragma once

#include <cstdint>
#include <span>

#include "src/model/block.h"

namespace tandem {

/// One micro-batch on the host: packed samples, no padding. Lengths: ids, positions, row_ids n; targets n with -100 where
/// the position is not trained (targets are already shifted: what position i should predict).
struct HostBatch {
    std::span<const std::int32_t> ids, targets, positions, cu_seqlens;
    std::span<const std::int64_t> row_ids;
    std::int64_t max_length = 0;
};

/// The same on the device, n padded to a multiple of the tensor-parallel ranks. The padding is a sample of its own that nothing is trained
/// on, so that no op knows of it.
struct DeviceBatch {
    BatchView view;
    Tensor ids = {};      ///< int32 [n] rows of this rank's part of the embedding; -1: another rank's
    Tensor trained = {};  ///< int32 [m] trained positions
    Tensor targets = {};  ///< int32 [m] rows of this rank's part of the head; -1: another rank's
    [[nodiscard]] std::int64_t own_rows() const { return view.tokens() / view.group.size(); }
};

/// Rows [first, last) of the vocabulary that lie on this rank.
struct VocabularyPart {
    std::int64_t first = 0, last = 0;
    [[nodiscard]] std::int32_t local(std::int32_t id) const {
        return id >= first && id < last ? static_cast<std::int32_t>(id - first) : -1;
    }
};

/// Puts host vectors on the device, from one arena; the vectors may end after synchronize().
class Uploader {
public:
    Uploader(Context ctx, Arena& arena) : ctx_(ctx), arena_(arena) {}
    Tensor operator()(std::string_view name, std::span<const std::int32_t> values);
    Tensor operator()(std::string_view name, std::span<const std::int64_t> values);
    void synchronize() { ctx_.stream.synchronize(); }

private:
    Context ctx_;
    Arena& arena_;
};

/// What a batch needs to know of the model.
struct BatchFrame {
    const TensorGroup& group;
    VocabularyPart part;
    std::int64_t vocabulary, longest;  ///< rows; tokens of a sample at most
    Tensor cos, sin;
    bool drops;  ///< dropout masks are wanted: row ids are uploaded
};

/// Throws Input for an id or a target outside the vocabulary. Waits for the device.
DeviceBatch upload(const BatchFrame& frame, Uploader upload, const HostBatch& batch);

/// Throws Input for an id that is not in [0, vocabulary).
void check_ids(std::span<const std::int32_t> ids, std::int64_t vocabulary, std::string_view what);

}  // namespace tandem
