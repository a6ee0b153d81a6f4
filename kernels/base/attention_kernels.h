// Whose attention a GPU computes.
#pragma once

#include <cstdint>

namespace tandem {

enum class AttentionKernels : std::uint8_t {
    Auto,  ///< own, until a GPU has shown the other to be faster
    Own,
    Cudnn,  ///< cuDNN's forward pass where it takes the case
};

}  // namespace tandem
