#include "src/engine/moment_layout.h"

#include <algorithm>

#include "kernels/ops/types.h"

namespace tandem {
namespace {

constexpr std::int64_t kBlock = EightBitMoments::kBlock;

BucketMoments lay_out(OptimizerName optimizer, const ParamTable& table, const std::vector<BucketPiece>& pieces) {
    BucketMoments moments;
    for (const BucketPiece& piece : pieces) {
        const bool eight_bit = has_eight_bit_moments(optimizer, table[piece.parameter]);
        std::int64_t& length = eight_bit ? moments.eight_bit : moments.wide;
        moments.pieces.push_back({eight_bit, length});
        length += (piece.count + kBlock - 1) / kBlock * kBlock;
    }
    return moments;
}

}  // namespace

std::vector<BucketMoments> lay_out_moments(OptimizerName optimizer, const ParamTable& table, GradientBuckets& buckets) {
    std::vector<BucketMoments> list;
    if (optimizer == OptimizerName::Sgd) return list;
    for (std::size_t b = 0; b < buckets.size(); ++b) {
        BucketMoments moments = lay_out(optimizer, table, buckets.owned(b).pieces);
        for (int owner = 0; owner < buckets.owners(); ++owner) {
            const BucketMoments other = lay_out(optimizer, table, buckets.pieces_of(b, owner));
            moments.most_wide = std::max(moments.most_wide, other.wide);
            moments.most_eight_bit = std::max(moments.most_eight_bit, other.eight_bit);
        }
        list.push_back(std::move(moments));
    }
    return list;
}

}  // namespace tandem
