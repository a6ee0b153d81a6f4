// Parameters of the ops. Enums rather than bools, so that a call reads.
#pragma once

#include <cstdint>

#include "kernels/base/tensor.h"

namespace tandem {

/// Whether a result replaces what is in the output or is added to it.
enum class Write : std::uint8_t { Overwrite, Accumulate };

enum class Transpose : std::uint8_t { No, Yes };

/// A matrix operand: `x` as stored, used as x or x^T.
struct Operand {
    Tensor x;
    Transpose transpose = Transpose::No;
    [[nodiscard]] std::int64_t rows() const { return x.extent(transpose == Transpose::No ? 0 : 1); }
    [[nodiscard]] std::int64_t columns() const { return x.extent(transpose == Transpose::No ? 1 : 0); }
};
/// x^T as an operand.
inline Operand transposed(const Tensor& x) { return {x, Transpose::Yes}; }

/// y = x * rstd * (weight_offset + w); Gemma stores w - 1, so its offset is 1.
struct RmsNorm {
    double eps = 1e-6;
    double weight_offset = 0.0;
};

/// Forward rotates by +position * frequency; Backward by the negative angle (the transpose of the rotation).
enum class Rotation : std::uint8_t { Forward, Backward };

enum class Activation : std::uint8_t { SiLU, GeluTanh };

struct Attention {
    double scale = 1.0;       ///< multiplies q k^T
    std::int64_t window = 0;  ///< sliding window: a query sees itself and the window - 1 keys before it; 0 = all before it
    double softcap = 0.0;     ///< c > 0: scores become c tanh(scores / c) before the mask
};

/// Samples packed along the token dimension: sample b has query tokens [q[b], q[b+1]) and key tokens [k[b], k[b+1]).
/// Its last query is aligned with its last key, so that a cache (more keys than queries) is the same op.
struct Segments {
    Tensor q;                     ///< int32 [count + 1], ascending from 0 to the number of query tokens
    Tensor k;                     ///< int32 [count + 1], ascending from 0 to the number of key tokens
    std::int64_t max_length = 0;  ///< of any sample's keys
};

/// Dropout whose mask is a function of (key, row id, column) alone: the same however rows and columns are split over ranks.
struct DropoutMask {
    std::uint64_t key = 0;
    double probability = 0.0;
    std::int64_t first_column = 0;  ///< number of x's first column among all columns: not 0 where x is a slice of them
};

/// One step of torch.optim.AdamW (Loshchilov & Hutter, arXiv 1711.05101), decay first.
struct AdamW {
    double learning_rate, beta1, beta2, eps, weight_decay;
    std::int64_t step;  ///< counted from 1
};

/// AdamW's moments in blocks of 256 eight-bit codes (arXiv 2110.02861): m with the signed dynamic map, v with the unsigned one.
struct EightBitMoments {
    static constexpr std::int64_t kBlock = 256;
    Tensor m, v;                ///< uint8 [n]
    Tensor m_absmax, v_absmax;  ///< fp32 [ceil(n / 256)]
};

struct Sgd {
    double learning_rate, weight_decay;
};

}  // namespace tandem
