#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "src/io/files.h"
#include "src/io/os_error.h"

namespace tandem {

using io_detail::fail_io;
using io_detail::fail_path;

namespace {

/// Nothing takes the name of a mounted file system's root.
void refuse_mount(const std::filesystem::path& directory) {
    struct statx info {};
    if (::statx(AT_FDCWD, directory.c_str(), 0, STATX_BASIC_STATS, &info) != 0) fail_path(directory, "look at", errno);
    if ((info.stx_attributes_mask & info.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) return;
    fail(Failure::Configuration, "{}: is where a file system is mounted and cannot be replaced; name a directory inside it",
         directory.string());
}

/// The name to be renamed to: "a/b" for "a/b/", the directory itself for "." and for a symbolic link to it.
std::filesystem::path resolved(const std::filesystem::path& path) {
    auto target = path.lexically_normal();
    if (!target.has_filename()) target = target.parent_path();
    std::error_code error;
    if (!std::filesystem::exists(target, error)) {
        if (std::filesystem::is_symlink(target, error))
            fail(Failure::Configuration, "{}: is a symbolic link to what does not exist", target.string());
        return target;
    }
    if (!std::filesystem::is_directory(target, error)) fail(Failure::Configuration, "{}: exists and is not a directory", target.string());
    target = std::filesystem::canonical(target);
    refuse_mount(target);
    return target;
}

void sync_tree(const std::filesystem::path& directory) {
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        if (entry.is_directory()) {
            sync_tree(entry.path());
        } else if (entry.is_regular_file()) {
            const FileDescriptor fd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
            if (fd.get() < 0) fail_io(entry.path(), "open", errno);
            if (::fsync(fd.get()) != 0) fail_io(entry.path(), "sync", errno);
        }
    }
    sync_directory(directory);
}

/// Puts `fresh` in the place of the existing `target`; the old contents are under `fresh` or `old` afterwards.
void replace_directory(const std::filesystem::path& fresh, const std::filesystem::path& target) {
    if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) return;
    if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) fail_io(target, "replace the directory", errno);
    // The file system cannot exchange two names: the old directory steps aside and comes back if the new one cannot take its place.
    const auto old = io_detail::temporary_beside(target);
    if (::rename(target.c_str(), old.c_str()) != 0) fail_io(target, "move the old directory aside", errno);
    if (::rename(fresh.c_str(), target.c_str()) != 0) {
        const int error = errno;
        if (::rename(old.c_str(), target.c_str()) != 0) {
            fail(Failure::Run, "{}: cannot be replaced, and its old contents are now in {}", target.string(), old.string());
        }
        fail_io(target, "replace the directory", error);
    }
    if (::rename(old.c_str(), fresh.c_str()) != 0) fail_io(old, "rename", errno);
}

}  // namespace

AtomicDirectory::AtomicDirectory(std::filesystem::path target)
    : target_(resolved(target)), temporary_(io_detail::temporary_beside(target_)) {
    if (::mkdir(temporary_.c_str(), 0777) != 0) fail_path(target_, "create the directory", errno);
}

AtomicDirectory::~AtomicDirectory() {
    std::error_code ignored;
    if (!temporary_.empty()) std::filesystem::remove_all(temporary_, ignored);
}

void AtomicDirectory::commit() {
    require(!temporary_.empty(), "{} is committed twice", target_.string());
    sync_tree(temporary_);
    if (::rename(temporary_.c_str(), target_.c_str()) == 0) {  // also over an empty directory
        temporary_.clear();
    } else if (errno == ENOTEMPTY || errno == EEXIST) {
        replace_directory(temporary_, target_);  // the destructor removes the old contents
    } else {
        fail_io(target_, "rename the finished directory", errno);
    }
    sync_directory(target_.parent_path());
}

}  // namespace tandem
