#pragma once

#include <string>
#include <vector>

namespace tandem {

/// One line on stderr for each name that copy_other_files() left out, less the weights that were written anew.
void warn_left_out(const std::string& model, const std::vector<std::string>& names);

}  // namespace tandem
