#include "kernels/ops/elementwise.h"

#include <bit>
#include <cstring>

#include "kernels/base/philox.h"
#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd.h"

namespace tandem {

namespace cpu {

TANDEM_CLONES void add_piece(const float* a, const float* b, float* y, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

TANDEM_CLONES void axpy_piece(float alpha, const float* x, const float* y, float* out, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] = y[i] + alpha * x[i];
}

// The four words of Philox4x32-10 at counters (row; first + i), as pairs in two 64-bit numbers, the word that comes first below. Inside,
// each word lies in the low half of a 64-bit lane, whose upper half is never read, so that no step moves data between lanes.
TANDEM_CLONES void philox_piece(std::uint64_t key, std::uint64_t row, std::uint64_t first, std::uint64_t* pairs, std::int64_t n) {
    constexpr std::uint64_t kLow = 0xffffffffU;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
        const std::uint64_t counter = first + static_cast<std::uint64_t>(i);
        std::uint64_t c0 = counter;
        std::uint64_t c1 = counter >> 32U;
        std::uint64_t c2 = row;
        std::uint64_t c3 = row >> 32U;
        std::uint64_t k0 = key & kLow;
        std::uint64_t k1 = key >> 32U;
#pragma GCC unroll 10
        for (int round = 0; round < 10; ++round) {
            const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * (c0 & kLow);
            const std::uint64_t p1 = std::uint64_t{0xCD9E8D57U} * (c2 & kLow);
            c0 = (p1 >> 32U) ^ c1 ^ k0;
            c2 = (p0 >> 32U) ^ c3 ^ k1;
            c1 = p1;
            c3 = p0;
            k0 += 0x9E3779B9U;
            k1 += 0xBB67AE85U;
        }
        pairs[2 * i] = (c0 & kLow) | c1 << 32U;
        pairs[2 * i + 1] = (c2 & kLow) | c3 << 32U;
    }
}

// keep = uniform01(word) >= p, with uniform01(word) = (word >> 8) 2^-24, compared as integers.
TANDEM_CLONES void dropout_piece(const std::uint32_t* words, std::uint32_t threshold, float divisor, const float* x, float* y,
                                 std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
        const float kept = x[i] / divisor;
        y[i] = (words[i] >> 8U) >= threshold ? kept : 0.0F;
    }
}

namespace {

double get(DType type, const std::byte* x, std::int64_t i) {
    return dispatch_float(type, [&](auto tag) {
        using T = typename decltype(tag)::type;
        const T value = reinterpret_cast<const T*>(x)[i];
        if constexpr (std::is_same_v<T, double>) return value;
        else return static_cast<double>(static_cast<float>(value));
    });
}

/// Conversions from and to fp64, which no inner loop of training does.
void cast_fp64(const Tensor& x, const Tensor& y, const Piece& piece) {
    const auto* from = element(x, piece.row, piece.column);
    auto* to = element(y, piece.row, piece.column);
    for (std::int64_t i = 0; i < piece.count; ++i) {
        const double value = get(x.dtype(), from, i);
        if (y.dtype() == DType::F64) {
            reinterpret_cast<double*>(to)[i] = value;
        } else {
            const auto single = static_cast<float>(value);
            narrow(y.dtype(), &single, to + static_cast<std::size_t>(i) * size_of(y.dtype()), 1);
        }
    }
}

}  // namespace

}  // namespace cpu

using cpu::Input;
using cpu::Output;
using cpu::Piece;

void CpuBackend::zero(Context&, const Tensor& x) {
    const auto clear = [&](const Piece& p) {
        std::memset(cpu::element(x, p.row, p.column), 0, static_cast<std::size_t>(p.count) * size_of(x.dtype()));
    };
    cpu::for_pieces(threads_, clear, x);
}

void CpuBackend::cast(Context&, const Tensor& x, const Tensor& y) {
    const auto convert = [&](const Piece& p) {
        if (x.dtype() == y.dtype()) {
            std::memmove(cpu::element(y, p.row, p.column), cpu::element(x, p.row, p.column),
                         static_cast<std::size_t>(p.count) * size_of(x.dtype()));
        } else if (x.dtype() == DType::F64 || y.dtype() == DType::F64) {
            cpu::cast_fp64(x, y, p);
        } else {
            cpu::narrow(y.dtype(), Input(x, p), cpu::element(y, p.row, p.column), p.count);
        }
    };
    cpu::for_pieces(threads_, convert, x, y);
}

void CpuBackend::add(Context&, const Tensor& a, const Tensor& b, const Tensor& y) {
    cpu::require_computable(a);
    const auto piece = [&](const Piece& p) {
        Output out(y, p);
        cpu::add_piece(Input(a, p), Input(b, p), out, p.count);
        out.store();
    };
    cpu::for_pieces(threads_, piece, a, b, y);
}

void CpuBackend::axpy(Context&, double alpha, const Tensor& x, const Tensor& y) {
    cpu::require_computable(x);
    cpu::require_computable(y);
    const auto piece = [&](const Piece& p) {
        Output out(y, p);
        cpu::axpy_piece(static_cast<float>(alpha), Input(x, p), Input(y, p), out, p.count);
        out.store();
    };
    cpu::for_pieces(threads_, piece, x, y);
}

void CpuBackend::dropout(Context&, const DropoutMask& mask, const Tensor& row_ids, const Tensor& x, const Tensor& y) {
    cpu::require_computable(x);
    const auto threshold = uniform01_threshold(mask.probability);
    const auto divisor = static_cast<float>(1.0 - mask.probability);
    const auto* ids = row_ids.data<std::int64_t>();
    const std::int64_t columns = x.extent(1);
    const std::int64_t per_row = (columns + cpu::kPiece - 1) / cpu::kPiece;
    // Not for_pieces: a piece must know its row.
    cpu::parallel_for(threads_, x.extent(0) * per_row, [&](std::int64_t i) {
        const std::int64_t column = i % per_row * cpu::kPiece;
        const Piece p{i / per_row, column, std::min(cpu::kPiece, columns - column)};
        Output out(y, p);
        // Philox's words of the piece's counters; the first of them may begin before it.
        std::uint64_t pairs[cpu::kPiece / 2 + 2];
        std::uint32_t words[cpu::kPiece + 4];
        static_assert(sizeof words == sizeof pairs && std::endian::native == std::endian::little);
        const std::int64_t of_all = mask.first_column + column, skipped = of_all % 4, counters = (skipped + p.count + 3) / 4;
        cpu::philox_piece(mask.key, static_cast<std::uint64_t>(ids[p.row]), static_cast<std::uint64_t>(of_all / 4), pairs, counters);
        std::memcpy(words, pairs, static_cast<std::size_t>(counters) * 4 * sizeof(std::uint32_t));
        cpu::dropout_piece(words + skipped, threshold, divisor, Input(x, p), out, p.count);
        out.store();
    });
}

}  // namespace tandem
