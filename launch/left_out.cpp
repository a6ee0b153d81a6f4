#include "launch/left_out.h"

#include "launch/options.h"

namespace tandem {

void warn_left_out(const std::string& model, const std::vector<std::string>& names) {
    for (const auto& name : names)
        if (!name.ends_with(".safetensors") && !name.ends_with(".safetensors.index.json")) warn(model + "/" + name + " was not copied");
}

}  // namespace tandem
