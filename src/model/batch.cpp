#include "src/model/batch.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/base/backend.h"

namespace tandem {

Tensor Uploader::operator()(std::string_view name, std::span<const std::int32_t> values) {
    const Tensor t = arena_.allocate(name, DType::I32, {static_cast<std::int64_t>(values.size())});
    ctx_.backend.copy_from_host(ctx_.stream, values.data(), t);
    return t;
}

Tensor Uploader::operator()(std::string_view name, std::span<const std::int64_t> values) {
    const Tensor t = arena_.allocate(name, DType::I64, {static_cast<std::int64_t>(values.size())});
    ctx_.backend.copy_from_host(ctx_.stream, values.data(), t);
    return t;
}

void check_ids(std::span<const std::int32_t> ids, std::int64_t vocabulary, std::string_view what) {
    for (const auto id : ids) {
        if (id < 0 || id >= vocabulary) {
            fail(Failure::Input, "{} {} is outside the model's vocabulary of {}: do the data and the tokenizer belong to this model?", what,
                 id, vocabulary);
        }
    }
}

DeviceBatch upload(const BatchFrame& frame, Uploader upload, const HostBatch& batch) {
    check_ids(batch.ids, frame.vocabulary, "token id");
    require(batch.max_length <= frame.longest, "a sample of {} tokens, the rotation tables have {}", batch.max_length, frame.longest);
    const std::size_t n = batch.ids.size();
    const auto padding = static_cast<std::size_t>(frame.group.padded(static_cast<std::int64_t>(n))) - n;
    std::vector<std::int32_t> ids, trained, targets, positions(batch.positions.begin(), batch.positions.end());
    std::vector<std::int32_t> cu_seqlens(batch.cu_seqlens.begin(), batch.cu_seqlens.end());
    std::vector<std::int64_t> row_ids(batch.row_ids.begin(), batch.row_ids.end());
    for (const auto id : batch.ids) ids.push_back(frame.part.local(id));
    for (std::size_t i = 0; i < batch.targets.size(); ++i) {
        if (batch.targets[i] == -100) continue;
        trained.push_back(static_cast<std::int32_t>(i));
        targets.push_back(batch.targets[i]);
    }
    check_ids(targets, frame.vocabulary, "label");
    if (frame.group.split()) std::ranges::transform(targets, targets.begin(), [&](auto id) { return frame.part.local(id); });
    if (padding > 0) {
        ids.resize(n + padding, frame.part.local(0));
        positions.resize(n + padding);
        std::iota(positions.begin() + static_cast<std::ptrdiff_t>(n), positions.end(), 0);
        row_ids.resize(n + padding);
        cu_seqlens.push_back(static_cast<std::int32_t>(n + padding));
    }
    DeviceBatch d{.view = {.group = frame.group, .cos = frame.cos, .sin = frame.sin}};
    d.ids = upload("token ids", ids);
    d.trained = upload("trained positions", trained);
    d.targets = upload("targets", targets);
    d.view.positions = upload("positions", positions);
    if (frame.drops) d.view.row_ids = upload("row ids", row_ids);
    const Tensor cu = upload("cu_seqlens", cu_seqlens);
    d.view.segments = {cu, cu, std::max(batch.max_length, static_cast<std::int64_t>(padding))};
    upload.synchronize();  // the vectors above end with this call
    return d;
}

}  // namespace tandem
