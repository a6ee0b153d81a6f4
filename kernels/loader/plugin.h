// Opens shared objects that hold a backend (kernels/base/plugin.h). Knows dlopen and nothing of any device.
#pragma once

#include <filesystem>

#include "kernels/base/plugin.h"

namespace tandem {

/// The directory of the running program: shared objects of tandem lie beside it.
[[nodiscard]] std::filesystem::path program_directory();

/// Whether the system's loader finds the library, and what it says where not. The library stays open.
[[nodiscard]] std::optional<std::string> missing_library(const std::string& name);

/// The table of the shared object at `path`, which stays open until the process ends: exceptions and objects from it may live
/// as long. Throws Configuration where the loader refuses it (saying which library is missing), where it has no table, and
/// where it was not built together with this program.
[[nodiscard]] const BackendPlugin& open_plugin(const std::filesystem::path& path);

/// What a shared object that is a part of tandem shows under `name`; null where it is none, or shows nothing of that name.
[[nodiscard]] void* find_entry(const std::filesystem::path& path, const char* name);

}  // namespace tandem
