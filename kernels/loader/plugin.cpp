#include "kernels/loader/plugin.h"

#include <dlfcn.h>

#include <string_view>

namespace tandem {

namespace {

/// Why the last dl* call failed, in the system's words.
std::string loader_message() {
    const char* message = dlerror();
    return message ? message : "the loader gives no reason";
}

}  // namespace

std::filesystem::path program_directory() {
    std::error_code error;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error) fail(Failure::Run, "/proc/self/exe, which says where the program is, cannot be read: {}", error.message());
    return program.parent_path();
}

std::optional<std::string> missing_library(const std::string& name) {
    if (dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL) != nullptr) return std::nullopt;
    return loader_message();
}

const BackendPlugin& open_plugin(const std::filesystem::path& path) {
    // Everything is resolved now: a symbol that is missing must not be found out in the middle of a step.
    void* object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (object == nullptr) fail(Failure::Configuration, "{} cannot be opened: {}", path.string(), loader_message());
    dlerror();  // forgets older failures
    void* symbol = dlsym(object, kPluginEntry);
    if (symbol == nullptr) fail(Failure::Configuration, "{} is not a part of tandem: it has no {}", path.string(), kPluginEntry);
    const BackendPlugin* plugin = reinterpret_cast<PluginEntry>(symbol)();
    if (std::string_view(plugin->abi) != TANDEM_PLUGIN_ABI) {
        fail(Failure::Configuration, "{} was built as part of another tandem ({}; this program is {}); build both together: launch/build",
             path.string(), plugin->abi, TANDEM_PLUGIN_ABI);
    }
    return *plugin;
}

void* find_entry(const std::filesystem::path& path, const char* name) {
    void* object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    return object == nullptr ? nullptr : dlsym(object, name);
}

}  // namespace tandem
