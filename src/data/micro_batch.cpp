#include "src/data/micro_batch.h"

#include <algorithm>
#include <numeric>

#include "src/data/record.h"

namespace tandem {

namespace {

void append_sample(const TokenFile& file, std::int64_t epoch, std::int64_t sample, MicroBatch& batch) {
    const auto first = batch.ids.size();
    const auto length = static_cast<std::size_t>(file.length(sample));
    for (auto* column : {&batch.ids, &batch.labels, &batch.positions}) column->resize(first + length);
    batch.row_ids.resize(first + length);

    const auto labels = std::span(batch.labels).subspan(first);
    file.read(sample, std::span(batch.ids).subspan(first), labels);
    // Shifted within the sample: its last token predicts nothing, the next sample's first label is nobody's target.
    std::shift_left(labels.begin(), labels.end(), 1);
    labels.back() = kNotTrained;
    const auto positions = std::span(batch.positions).subspan(first);
    std::iota(positions.begin(), positions.end(), 0);
    const auto row_ids = std::span(batch.row_ids).subspan(first);
    std::iota(row_ids.begin(), row_ids.end(), epoch * file.tokens() + file.offset(sample));

    batch.trained += std::count_if(labels.begin(), labels.end(), [](auto id) { return id != kNotTrained; });
    batch.tokens += static_cast<std::int64_t>(length);
    batch.max_length = std::max(batch.max_length, static_cast<std::int64_t>(length));
    batch.cu_seqlens.push_back(static_cast<std::int32_t>(batch.ids.size()));
}

}  // namespace

MicroBatch assemble(const TokenFile& file, std::span<const Row> rows) {
    MicroBatch batch;
    for (const auto& row : rows) {
        for (const auto sample : row.samples) append_sample(file, row.epoch, sample, batch);
    }
    return batch;
}

}  // namespace tandem
