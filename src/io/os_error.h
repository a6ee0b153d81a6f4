// Messages of failed system calls. Private to src/io.
#pragma once

#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "kernels/base/error.h"

namespace tandem::io_detail {

/// The path is at fault, as typed, rather than the machine.
inline bool is_path_error(int error) {
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == EPERM || error == EROFS || error == EISDIR ||
           error == ELOOP || error == ENAMETOOLONG || error == EINVAL;
}

/// "PATH: cannot VERB: CAUSE", as Configuration where opening or making a path failed because of the path.
[[noreturn]] inline void fail_path(const std::filesystem::path& path, std::string_view verb, int error) {
    fail(is_path_error(error) ? Failure::Configuration : Failure::Run, "{}: cannot {}: {}", path.string(), verb,
         std::generic_category().message(error));
}

/// The same while running: always Run.
[[noreturn]] inline void fail_io(const std::filesystem::path& path, std::string_view verb, int error) {
    fail(Failure::Run, "{}: cannot {}: {}", path.string(), verb, std::generic_category().message(error));
}

/// A hidden name beside `target` that no other process on this file system is likely to use. Throws Configuration if `target`
/// has no file name.
std::filesystem::path temporary_beside(const std::filesystem::path& target);

}  // namespace tandem::io_detail
