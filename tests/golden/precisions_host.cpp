#include "tests/golden/golden_precisions.h"

namespace tandem::test {

GoldenDevice golden_device() {
    return {{
                // Weights leave the program as fp32: the bounds on them are its rounding.
                {"fp64_ref", {"--device.backend", "ref", "--model.dtype", "fp64"}, 1e-10, 1e-10, 1e-6, 1e-5},
                // fp32 sums in another order; AdamW's quotient m / sqrt(v) magnifies the error of elements with tiny gradients.
                {"fp32_ref", {"--device.backend", "ref", "--model.dtype", "fp32"}, 1e-5, 1e-5, 1e-5, 1e-3},
                {"fp32_cpu", {"--device.backend", "cpu", "--model.dtype", "fp32"}, 1e-5, 1e-5, 1e-5, 1e-3},
            },
            {"llama_gqa", "llama_tied", "llama3_rope", "mistral_window", "qwen2_bias", "qwen3_norm", "llama2_mha", "llama_head_dim"},
            ""};
}

std::string why_no_golden_device() { return ""; }

}  // namespace tandem::test
