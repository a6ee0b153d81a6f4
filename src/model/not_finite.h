// The error of a computation whose numbers ran out of their type.
#pragma once

#include <string_view>

#include "kernels/base/dtype.h"

namespace tandem {

/// Throws Diverged: `what` ("the loss is") not finite, computed in `dtype`. In fp16 the message says what to do, for there a sound model
/// may come to that: weights are finite when they are read, activations beyond 65504 are not.
[[noreturn]] void fail_not_finite(std::string_view what, DType dtype);

}  // namespace tandem
