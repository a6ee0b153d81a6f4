// Products of 16-bit matrices on processors that do not multiply them.
#pragma once

#include "kernels/cpu/onednn.h"

namespace tandem::cpu {

/// Whether the work is done, or only its workspace taken and given back.
enum class Execution : std::uint8_t { Compute, Rehearse };

/// c = alpha a b (+ c): blocks of a and b are widened to fp32, multiplied and summed in fp32, and rounded once. Takes at
/// most 8 MiB of ctx.workspace besides oneDNN's scratchpad.
void matmul_widened(Context& ctx, OneDnnMatmul& onednn, int threads, const Operand& a, const Operand& b, const Tensor& c, double alpha,
                    Write write, Execution execution);

}  // namespace tandem::cpu
