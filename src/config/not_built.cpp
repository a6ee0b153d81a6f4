// The values that the interface names and this version does not build: one row each.
#include <array>

#include "kernels/base/error.h"
#include "src/config/check.h"
#include "src/config/option_builder.h"

namespace tandem {
namespace {

struct NotBuilt {
    std::string_view key;
    bool (*asked)(const RunConfig&);
    std::string_view instead;
};

constexpr std::array<NotBuilt, 6> kNotBuilt = {{
    {"model.dtype", [](const RunConfig& c) { return c.model.dtype == DType::F16; }, "use bf16 or fp32"},
    {"offload.weights", [](const RunConfig& c) { return c.offload.weights != Offload::None; }, "use none"},
    {"offload.optimizer", [](const RunConfig& c) { return c.offload.optimizer != Offload::None; },
     "use none; optimizer.name = paged_adamw_8bit keeps states in host memory"},
    {"offload.activations", [](const RunConfig& c) { return c.offload.activations != Offload::None; },
     "use none, and training.recompute = full to save memory"},
    {"parallel.zero", [](const RunConfig& c) { return c.parallel.zero > 2; }, "use 0, 1 or 2"},
    {"output.dtype", [](const RunConfig& c) { return c.output.dtype == DType::F16 && c.method.type == Method::Full; }, "use bf16 or fp32"},
}};

}  // namespace

void check_built(const RunConfig& config) {
    for (const auto& row : kNotBuilt) {
        if (!row.asked(config)) continue;
        fail(Failure::Configuration, "{}: {} = {} is not built in this version of tandem; {}", config.origin(row.key), row.key,
             as_typed(find_option(row.key)->get(config), ""), row.instead);
    }
}

}  // namespace tandem
