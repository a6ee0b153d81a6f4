// The ops at the sizes of one layer of a model, with what they cost.
#pragma once

#include <functional>
#include <string>

#include "kernels/base/context.h"

namespace tandem::bench {

/// What bounds an op, and so what its speed is compared with.
enum class Bound { Bf16Matmul, Fp32Matmul, Memory };

struct Case {
    std::string name;
    Bound bound;
    double cost;  ///< flops, or bytes for Bound::Memory
    std::function<void()> run;
};

/// Of a layer, the head, and LoRA's factors. SmolLM2-135M's.
struct Dimensions {
    std::int64_t hidden = 576, ffn = 1536, vocabulary = 49152, heads = 9, kv_heads = 3, head_dim = 64, rank = 16;
};
inline constexpr Dimensions kLlama3_8b = {4096, 14336, 128256, 32, 8, 128, 16};

/// Gets the cases one by one; the operands of each are there while it has it, in a memory that is used again.
using Visitor = std::function<void(const Case&)>;

/// Every op on `tokens` tokens, at least 128.
void cases(Context& ctx, Arena& memory, const Dimensions& dimensions, std::int64_t tokens, const Visitor& visit);

/// Products of n x n matrices, whose rates are the limits that others are compared with where n is large.
void limits(Context& ctx, Arena& memory, std::int64_t n, const Visitor& visit);

}  // namespace tandem::bench
