// Kernels of kernels/ops/embedding.h: rows by index. Each is told how many rows there are, and gives up at an index outside of them.
#pragma once

#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

enum class Route : std::uint8_t {
    Gather,        ///< to[i] = from[index[i]]
    GatherOrZero,  ///< the same, and zeros where the index is -1
    Scatter,       ///< to[index[i]] = from[i]
};

/// Rows of bytes, because a copy has no type; strides in bytes.
struct IndexedCopy {
    Route route;
    const void* from;
    std::int64_t from_stride;
    void* to;
    std::int64_t to_stride;
    std::int64_t row;           ///< bytes
    const std::int32_t* index;  ///< [count]
    std::int64_t count;
    std::int64_t rows;  ///< of what the index points into
};
Status launch_indexed_copy(const IndexedCopy& what, StreamHandle stream);

/// Tokens whose ids a block compares at once.
inline constexpr std::int64_t kTokenTile = 1024;
/// Parts of the tokens that are compared with all tokens by blocks of their own.
inline std::int64_t rank_parts(std::int64_t tokens) {
    const std::int64_t tiles = (tokens + kTokenTile - 1) / kTokenTile;
    return tiles < 16 ? tiles : 16;
}

struct TokenIds {
    const std::int32_t* ids;  ///< [count], -1 or below vocabulary
    std::int32_t count;
    std::int64_t vocabulary;
    std::int32_t* ranks;  ///< workspace [rank_parts, count]
    std::int32_t* order;  ///< workspace [count]
};
/// dtable[ids[i]] += dy[i], in the order of i; extent is dy's. Sorts the tokens by id first.
Status launch_embedding_backward(Extent extent, const TokenIds& tokens, const Rows& dy, const Rows& dtable, StreamHandle stream);

}  // namespace tandem::cuda
