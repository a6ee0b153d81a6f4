#include "src/model/quantization.h"

#include <algorithm>

namespace tandem {

bool QuantizationSpec::covers(const std::string& path) const {
    if (path == "lm_head") return false;
    return std::ranges::none_of(skip_modules, [&](const std::string& skipped) {
        return path == skipped || path.ends_with("." + skipped) || path.starts_with(skipped + ".") ||
               path.find("." + skipped + ".") != std::string::npos;
    });
}

}  // namespace tandem
