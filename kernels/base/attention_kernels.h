// Whose attention a GPU computes.
#pragma once

#include <cstdint>

namespace tandem {

enum class AttentionKernels : std::uint8_t {
    Auto,  ///< as Cudnn on cards where that is usual (DeviceFacts::library_attention); what cannot be had there, or is wrong, is by own
           ///< kernels
    Own,
    Cudnn,  ///< cuDNN's forward pass where it takes the case; an error where it cannot be had, or gives something else than own kernels
};

}  // namespace tandem
