#include "tests/kernels/candidates.h"

namespace tandem::test {

std::vector<Candidate> candidates() {
    return {{"cpu", [] { return make_cpu_backend(2); }, {DType::F32, DType::BF16, DType::F16}},
            // Three threads: no extent of the cases divides evenly.
            {"cpu_3_threads", [] { return make_cpu_backend(3); }, {DType::F32}}};
}

}  // namespace tandem::test
