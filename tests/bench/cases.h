// The ops at the sizes of one layer of SmolLM2-135M, with what they cost.
#pragma once

#include <functional>
#include <string>
#include <vector>

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

/// Every op on `tokens` tokens; operands live in `memory`, which must outlive the cases.
std::vector<Case> cases(Context& ctx, Arena& memory, std::int64_t tokens);

/// Large square products, whose rates are the limits that others are compared with.
std::vector<Case> limits(Context& ctx, Arena& memory);

}  // namespace tandem::bench
