// Reading and writing files so that nothing half-written stays behind: what is written gets a temporary name in the target's
// directory, is synced, renamed, and the directory synced.
//
// Errors: Configuration for a path that does not exist, or may not be read or made; Input for a file that ends too early;
// Run for what happens later (disk full, I/O error). Every message names the file and the operating system's cause.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace tandem {

/// Grows as long as files answer this process, whichever thread asks: by bytes that were read and written, and by looks at a lock.
[[nodiscard]] std::uint64_t file_activity();

/// The whole file.
[[nodiscard]] std::string read_file(const std::filesystem::path& file);

void write_file_atomically(const std::filesystem::path& file, std::string_view contents);

/// Removes what processes that were killed left under temporary names in `directory` (not in directories below it). Nobody else may be
/// writing there. A directory that is not there is no error, nor is a name that cannot be removed.
void remove_leftovers(const std::filesystem::path& directory);

/// fsync of a directory: makes the names in it durable.
void sync_directory(const std::filesystem::path& directory);

/// An open file descriptor.
class FileDescriptor {
public:
    FileDescriptor() = default;
    explicit FileDescriptor(int fd) : fd_(fd) {}
    ~FileDescriptor() { reset(); }
    FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept;
    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] int release() {
        const int fd = fd_;
        fd_ = -1;
        return fd;
    }
    void reset();

private:
    int fd_ = -1;
};

/// Positioned reads; const calls may come from several threads.
class RandomAccessFile {
public:
    /// Opens a regular file for reading.
    explicit RandomAccessFile(std::filesystem::path file);

    /// Exactly `target.size()` bytes from `offset`. A file that ends before is Input, naming file, offset, wanted and found.
    void read(std::uint64_t offset, std::span<std::byte> target) const;

    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] std::uint64_t bytes_read() const { return bytes_read_; }  ///< so far, by read()

private:
    std::filesystem::path path_;
    FileDescriptor fd_;
    std::uint64_t size_ = 0;
    mutable std::atomic<std::uint64_t> bytes_read_ = 0;
};

/// A file that appears under its name when commit() returns, and not at all otherwise.
class AtomicFile {
public:
    explicit AtomicFile(std::filesystem::path target);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    void append(std::span<const std::byte> bytes);
    void append(std::string_view text) { append(std::as_bytes(std::span(text))); }
    /// Anywhere, in any order; does not move the place of append().
    void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
    void commit();

    [[nodiscard]] const std::filesystem::path& temporary() const { return temporary_; }

private:
    std::filesystem::path target_, temporary_;
    FileDescriptor fd_;
    std::uint64_t end_ = 0;
};

/// Positioned writes into a file that another process is creating under a temporary name. Processes write different bytes.
class SharedFile {
public:
    /// `target`: the name that messages give it, what it will be called.
    SharedFile(const std::filesystem::path& temporary, std::filesystem::path target);
    void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
    /// fsync: what this process wrote is durable.
    void sync();
    [[nodiscard]] std::uint64_t bytes_written() const { return bytes_written_; }

private:
    std::filesystem::path target_;
    FileDescriptor fd_;
    std::uint64_t bytes_written_ = 0;
};

/// A directory that appears under its name, complete, when commit() returns, and not at all otherwise. What was there under
/// that name is replaced.
class AtomicDirectory {
public:
    /// The parent directory must exist. A symbolic link stays: what it points to is replaced. Configuration for a mount point.
    explicit AtomicDirectory(std::filesystem::path target);
    ~AtomicDirectory();
    AtomicDirectory(const AtomicDirectory&) = delete;
    AtomicDirectory& operator=(const AtomicDirectory&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return temporary_; }  ///< write the files in here
    void commit();

private:
    std::filesystem::path target_, temporary_;
};

/// Exclusive advisory lock (flock) on a file, made if absent, held until destruction. The file stays.
class FileLock {
public:
    /// Waits up to `deadline` for another holder; then Run, naming the file.
    FileLock(const std::filesystem::path& file, std::chrono::milliseconds deadline);

private:
    FileDescriptor fd_;
};

}  // namespace tandem
