// The files that data.train and data.validation name.
#pragma once

#include <string>
#include <vector>

namespace tandem {

/// Files and globs to files: each glob's matches sorted by name, the entries in the order given. A path that exists is taken
/// as it is, whatever characters it has. Throws Configuration for an entry that matches nothing, a directory, or a file that
/// may not be read.
[[nodiscard]] std::vector<std::string> expand_files(const std::vector<std::string>& patterns);

}  // namespace tandem
