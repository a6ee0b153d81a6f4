// The values that the interface names and this version does not build, or not for every subcommand: one row each.
#include <array>

#include "kernels/base/error.h"
#include "src/config/check.h"
#include "src/config/option_builder.h"

namespace tandem {
namespace {

struct NotBuilt {
    std::string_view key;
    bool (*asked)(const RunConfig&, Purpose);
    std::string_view instead;
    std::string_view where = "in this version of tandem";
};

/// `plan` and `bench` are of training, too.
bool trains(Purpose purpose) { return purpose == Purpose::Train || purpose == Purpose::Plan; }

constexpr std::array<NotBuilt, 5> kNotBuilt = {{
    {"model.dtype", [](const RunConfig& c, Purpose p) { return c.model.dtype == DType::F16 && trains(p); },
     "use bf16 or fp32 (eval and generate take fp16)", "for training, whose gradients would need dynamic loss scaling"},
    {"offload.weights", [](const RunConfig& c, Purpose) { return c.offload.weights != Offload::None; }, "use none"},
    {"offload.optimizer", [](const RunConfig& c, Purpose) { return c.offload.optimizer != Offload::None; },
     "use none; optimizer.name = paged_adamw_8bit keeps states in host memory"},
    {"offload.activations", [](const RunConfig& c, Purpose) { return c.offload.activations != Offload::None; },
     "use none, and training.recompute = full to save memory"},
    {"parallel.zero", [](const RunConfig& c, Purpose) { return c.parallel.zero > 2; }, "use 0, 1 or 2"},
}};

}  // namespace

void check_built(const RunConfig& config, Purpose purpose) {
    for (const auto& row : kNotBuilt) {
        if (!row.asked(config, purpose)) continue;
        fail(Failure::Configuration, "{}: {} = {} is not built {}; {}", config.origin(row.key), row.key,
             as_typed(find_option(row.key)->get(config), ""), row.where, row.instead);
    }
}

}  // namespace tandem
