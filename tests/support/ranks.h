// The ranks that run a test program: what main.cpp set up.
#pragma once

#include "parallel/runtime.h"

namespace tandem {

[[nodiscard]] Runtime& test_runtime();
/// All ranks of the test; one rank where the program was started without a launcher.
[[nodiscard]] Communicator& test_world();

}  // namespace tandem
