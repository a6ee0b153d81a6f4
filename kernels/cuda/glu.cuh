// Kernels of kernels/ops/glu.h.
#pragma once

#include "kernels/cuda/rows.cuh"

namespace tandem::cuda {

/// Activation, as the device takes it.
enum class Gate : std::uint8_t { SiLU, GeluTanh };

/// y = a(gate) up. y may be gate or up.
Status launch_glu(Extent extent, Gate activation, const Rows& gate, const Rows& up, const Rows& y, StreamHandle stream);

struct GluGradient {
    Rows dy, gate, up;  ///< read
    Rows dgate, dup;    ///< dgate may be gate or dy, dup may be up
};
/// dgate = dy up a'(gate), dup = dy a(gate)
Status launch_glu_backward(Extent extent, Gate activation, const GluGradient& x, StreamHandle stream);

}  // namespace tandem::cuda
