// On a GPU, or, where TANDEM_EMULATED (empty for a GPU) names that program, on the emulated one and there for a few models only.
#include "tests/golden/golden_precisions.h"

namespace tandem::test {

GoldenDevice golden_device() {
    const std::string emulated = TANDEM_EMULATED;
    // As fp32 on the cpu.
    GoldenDevice device{
        {{"fp32_cuda", {"--device.backend", "cuda", "--model.dtype", "fp32"}, 1e-5, 1e-5, 1e-5, 1e-3}},
        {"llama_gqa", "llama_tied", "llama3_rope", "mistral_window", "qwen2_bias", "qwen3_norm", "llama2_mha", "llama_head_dim"},
        emulated};
    if (!emulated.empty()) device.models = {"mistral_window", "qwen3_norm"};
    return device;
}

std::string why_no_golden_device() {
    static const std::string reason = [] {
        const auto doctor = run_program({"doctor", "--json"}, {.program = TANDEM_EMULATED});
        if (doctor.code != 0) return "tandem doctor failed: " + doctor.err;
        const auto cuda = nlohmann::json::parse(doctor.out).at("cuda");
        return cuda.at("usable").get<bool>() ? std::string() : "no GPU to test on: " + cuda.at("status").get<std::string>();
    }();
    return reason;
}

}  // namespace tandem::test
