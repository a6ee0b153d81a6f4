// Where the made-up NCCL's messages lie: one directory for all ranks.
#pragma once

#include <string>

namespace tandem::test {

/// Made by rank 0 at the first call, which is collective, and removed by it when the program ends.
const std::string& fake_nccl_directory();

}  // namespace tandem::test
