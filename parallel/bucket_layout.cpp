#include "parallel/bucket_layout.h"

#include <algorithm>

#include "kernels/base/error.h"

namespace tandem {
namespace {

std::int64_t round_up(std::int64_t n, std::int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// Only the first dimension is padded, so that the box is the storage's beginning.
void check(const Parameter& p) {
    bool prefix = p.bucket >= 0 && p.storage.dims() == p.box.shape.dims() && p.storage.dims() >= 1 && p.storage[0] >= p.box.shape[0];
    for (int i = 1; prefix && i < p.storage.dims(); ++i) prefix = p.storage[i] == p.box.shape[i];
    require(prefix, "parameter {} in bucket {}: the box {} is not the beginning of the storage {}", p.name, p.bucket, p.box.shape.str(),
            p.storage.str());
}

}  // namespace

std::vector<BucketLayout> lay_out_buckets(const ParamTable& table, int ranks) {
    std::vector<BucketLayout> buckets;
    for (std::size_t i = 0; i < table.size(); ++i) {
        const Parameter& p = table[i];
        if (!p.trainable) continue;
        check(p);
        const auto b = static_cast<std::size_t>(p.bucket);
        if (b >= buckets.size()) buckets.resize(b + 1);
        BucketLayout& bucket = buckets[b];
        bucket.pieces.push_back({.parameter = i, .first = 0, .count = p.box.shape.elements(), .offset = bucket.length});
        bucket.length += round_up(p.storage.elements(), BucketLayout::kAlignment);
    }
    for (BucketLayout& bucket : buckets) bucket.length = round_up(bucket.length, BucketLayout::kAlignment * ranks);
    return buckets;
}

std::vector<BucketPiece> BucketLayout::block(int rank, int ranks) const {
    const std::int64_t size = length / ranks, begin = rank * size;
    std::vector<BucketPiece> inside;
    for (const BucketPiece& piece : pieces) {
        const std::int64_t first = std::max(piece.offset, begin);
        const std::int64_t last = std::min(piece.offset + piece.count, begin + size);
        if (first < last)
            inside.push_back({.parameter = piece.parameter, .first = first - piece.offset, .count = last - first, .offset = first - begin});
    }
    return inside;
}

}  // namespace tandem
