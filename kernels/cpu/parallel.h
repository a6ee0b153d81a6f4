// Loops over a team of OpenMP threads. Bodies do not throw.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "kernels/base/tensor.h"

namespace tandem::cpu {

/// body(i) for i in [0, count), in equal contiguous shares.
template <class Body>
void parallel_for(int threads, std::int64_t count, const Body& body) {
    if (threads == 1 || count <= 1) {
        for (std::int64_t i = 0; i < count; ++i) body(i);
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (std::int64_t i = 0; i < count; ++i) body(i);
}

/// body(i, thread) for i in [0, count), handed out one by one: for items of unequal cost, the dearest first.
template <class Body>
void parallel_items(int threads, std::int64_t count, const Body& body) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (std::int64_t i = 0; i < count; ++i) body(i, omp_get_thread_num());
}

/// Elements that elementwise loops treat at once: the fp32 copies of a few operands stay in the first-level cache.
inline constexpr std::int64_t kPiece = 1024;

/// A contiguous part of a row.
struct Piece {
    std::int64_t row, column, count;
};

/// body(piece) for every piece of equally shaped tensors. Where all are contiguous, rows are joined into one.
template <class Body, class... Tensors>
void for_pieces(int threads, const Body& body, const Tensor& first, const Tensors&... others) {
    const bool joined = first.contiguous() && (others.contiguous() && ...);
    const std::int64_t rows = joined ? 1 : first.extent(0);
    const std::int64_t columns = joined ? first.elements() : first.row_elements();
    const std::int64_t per_row = (columns + kPiece - 1) / kPiece;
    const bool small = rows * columns <= 8 * kPiece;  // waking a team costs more
    parallel_for(small ? 1 : threads, rows * per_row, [&](std::int64_t i) {
        const std::int64_t column = i % per_row * kPiece;
        body(Piece{i / per_row, column, std::min(kPiece, columns - column)});
    });
}

}  // namespace tandem::cpu
