#include "src/io/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <regex>
#include <thread>
#include <vector>

#include "src/io/os_error.h"

namespace tandem {

using io_detail::fail_io;
using io_detail::fail_path;

namespace {

// Linux moves at most 0x7ffff000 bytes in one call; smaller pieces keep the wait for a signal short.
constexpr std::size_t kLargestTransfer = std::size_t{1} << 28U;

std::atomic<std::uint64_t> activity = 0;

void write_all(int fd, std::uint64_t offset, std::span<const std::byte> bytes, const std::filesystem::path& file) {
    while (!bytes.empty()) {
        const auto n = ::pwrite(fd, bytes.data(), std::min(bytes.size(), kLargestTransfer), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_io(file, "write", errno);
        if (n == 0) fail(Failure::Run, "{}: cannot write: the system took no bytes at offset {}", file.string(), offset);
        activity += static_cast<std::uint64_t>(n);
        bytes = bytes.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
}

}  // namespace

std::uint64_t file_activity() { return activity; }

std::filesystem::path io_detail::temporary_beside(const std::filesystem::path& target) {
    if (target.filename().empty()) fail(Failure::Configuration, "'{}' does not name a file", target.string());
    std::random_device random;  // ranks on different hosts of a shared file system may have the same process id
    const auto name = fmt::format(".{}.tmp-{}-{:08x}", target.filename().string(), ::getpid(), random());
    return target.parent_path() / name;
}

void remove_leftovers(const std::filesystem::path& directory) {
    static const std::regex temporary(R"(\..+\.tmp-[0-9]+-[0-9a-f]{8})");  // of temporary_beside
    std::error_code ignored;
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
        if (std::regex_match(entry.path().filename().string(), temporary)) found.push_back(entry.path());
    }
    for (const auto& path : found) std::filesystem::remove_all(path, ignored);
}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = other.release();
    }
    return *this;
}

void FileDescriptor::reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

std::string read_file(const std::filesystem::path& file) {
    const RandomAccessFile in(file);
    std::string text(in.size(), '\0');
    in.read(0, std::as_writable_bytes(std::span(text)));
    return text;
}

void write_file_atomically(const std::filesystem::path& file, std::string_view contents) {
    AtomicFile out(file);
    out.append(contents);
    out.commit();
}

void sync_directory(const std::filesystem::path& directory) {
    const auto path = directory.empty() ? std::filesystem::path(".") : directory;
    const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) fail_io(path, "open the directory", errno);
    // Some network file systems do not offer fsync on directories and say EINVAL; their names are durable on their own terms.
    if (::fsync(fd.get()) != 0 && errno != EINVAL && errno != ENOTSUP) fail_io(path, "sync the directory", errno);
}

RandomAccessFile::RandomAccessFile(std::filesystem::path file) : path_(std::move(file)) {
    fd_ = FileDescriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a FIFO must not block here
    if (fd_.get() < 0) fail_path(path_, "open", errno);
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) fail_io(path_, "stat", errno);
    if (S_ISDIR(info.st_mode)) fail(Failure::Configuration, "{}: is a directory; a file is needed", path_.string());
    if (!S_ISREG(info.st_mode)) fail(Failure::Configuration, "{}: is not a regular file", path_.string());
    size_ = static_cast<std::uint64_t>(info.st_size);
}

void RandomAccessFile::read(std::uint64_t offset, std::span<std::byte> target) const {
    const auto wanted = target.size();
    if (offset > size_ || wanted > size_ - offset) {
        fail(Failure::Input, "{}: truncated: {} bytes are wanted at offset {}, but the file has {} bytes", path_.string(), wanted, offset,
             size_);
    }
    std::size_t found = 0;
    while (found < wanted) {
        const auto n =
            ::pread(fd_.get(), target.data() + found, std::min(wanted - found, kLargestTransfer), static_cast<off_t>(offset + found));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_io(path_, "read", errno);
        if (n == 0) {  // the file shrank since it was opened
            fail(Failure::Input, "{}: truncated: {} bytes are wanted at offset {}, only {} are there", path_.string(), wanted, offset,
                 found);
        }
        found += static_cast<std::size_t>(n);
        activity += static_cast<std::uint64_t>(n);
    }
    bytes_read_ += wanted;
}

AtomicFile::AtomicFile(std::filesystem::path target) : target_(std::move(target)), temporary_(io_detail::temporary_beside(target_)) {
    if (std::filesystem::is_directory(target_)) fail(Failure::Configuration, "{}: cannot write: is a directory", target_.string());
    fd_ = FileDescriptor(::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (fd_.get() < 0) fail_path(target_, "create", errno);
}

AtomicFile::~AtomicFile() {
    if (fd_.get() >= 0) ::unlink(temporary_.c_str());
}

void AtomicFile::append(std::span<const std::byte> bytes) {
    write_all(fd_.get(), end_, bytes, target_);
    end_ += bytes.size();
}

void AtomicFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) { write_all(fd_.get(), offset, bytes, target_); }

void AtomicFile::commit() {
    require(fd_.get() >= 0, "{} is committed twice", target_.string());
    if (::fsync(fd_.get()) != 0) fail_io(target_, "sync", errno);
    // The descriptor stays open over the rename: until it is given up, the destructor removes the temporary name.
    if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail_io(target_, "rename the finished file", errno);
    if (::close(fd_.release()) != 0 && errno != EINTR) fail_io(target_, "close", errno);
    sync_directory(target_.parent_path());
}

SharedFile::SharedFile(const std::filesystem::path& temporary, std::filesystem::path target)
    : target_(std::move(target)), fd_(::open(temporary.c_str(), O_WRONLY | O_CLOEXEC)) {
    if (fd_.get() < 0) fail_io(target_, "open for writing", errno);
}

void SharedFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    write_all(fd_.get(), offset, bytes, target_);
    bytes_written_ += bytes.size();
}

void SharedFile::sync() {
    if (::fsync(fd_.get()) != 0) fail_io(target_, "sync", errno);
}

FileLock::FileLock(const std::filesystem::path& file, std::chrono::milliseconds deadline)
    : fd_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    if (fd_.get() < 0) fail_path(file, "create the lock file", errno);
    const auto end = std::chrono::steady_clock::now() + deadline;
    while (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) fail_io(file, "lock", errno);
        if (std::chrono::steady_clock::now() >= end) {
            fail(Failure::Run, "{}: locked by another process for more than {} ms; if none is running, remove the file", file.string(),
                 deadline.count());
        }
        ++activity;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

}  // namespace tandem
