#include "src/model/quantization.h"

#include <algorithm>

namespace tandem {

bool matches_module(const std::string& path, const std::string& module) {
    return ("." + path + ".").find("." + module + ".") != std::string::npos;
}

bool QuantizationSpec::covers(const std::string& path) const {
    if (path == "lm_head") return false;
    return std::ranges::none_of(skip_modules, [&](const std::string& skipped) { return matches_module(path, skipped); });
}

}  // namespace tandem
