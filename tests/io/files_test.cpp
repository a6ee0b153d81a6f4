#include "src/io/files.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <functional>

#include "src/io/os_error.h"
#include "tests/io/temp_dir.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

TEST(Files, RoundTrip) {
    const TempDir dir;
    const std::string text("a\0b\n\xff", 5);
    write_file_atomically(dir / "x", text);
    EXPECT_EQ(read_file(dir / "x"), text);
    write_file_atomically(dir / "x", "shorter");
    EXPECT_EQ(read_file(dir / "x"), "shorter");
    EXPECT_EQ(dir.entries(), 1U);
}

TEST(Files, ActivityGrowsAsLongAsFilesAnswer) {
    const TempDir dir;
    const auto grows = [](const std::function<void()>& work) {
        const auto before = file_activity();
        work();
        return file_activity() - before;
    };
    EXPECT_EQ(grows([&] { write_file_atomically(dir / "x", "12345"); }), 5U);
    EXPECT_EQ(grows([&] { (void)read_file(dir / "x"); }), 5U);
    const FileLock held(dir / "lock", std::chrono::milliseconds(0));
    EXPECT_GT(grows([&] { EXPECT_ANY_THROW(FileLock(dir / "lock", std::chrono::milliseconds(100))); }), 0U);
    EXPECT_EQ(grows([] {}), 0U);
}

TEST(Files, PathsThatAreWrong) {
    const TempDir dir;
    put(dir / "file", "x");
    const auto read = [](const fs::path& p) { return [p] { (void)read_file(p); }; };
    const auto write = [](const fs::path& p) { return [p] { write_file_atomically(p, "x"); }; };
    expect_error(Failure::Configuration, {"missing", "cannot open", "No such file"}, read(dir / "missing"));
    expect_error(Failure::Configuration, {"is a directory"}, read(dir.path()));
    expect_error(Failure::Configuration, {"file/x", "Not a directory"}, read(dir / "file" / "x"));
    expect_error(Failure::Configuration, {"not a regular file"}, read("/dev/null"));
    expect_error(Failure::Configuration, {"nowhere/x", "No such file"}, write(dir / "nowhere" / "x"));
    expect_error(Failure::Configuration, {"is a directory"}, write(dir.path()));
    expect_error(Failure::Configuration, {"does not name a file"}, write(dir.path() / ""));
    EXPECT_EQ(dir.entries(), 1U);
}

TEST(Files, TruncatedReadNamesOffsetWantedAndFound) {
    const TempDir dir;
    put(dir / "x", "0123456789");
    const RandomAccessFile file(dir / "x");
    std::array<std::byte, 8> buffer{};
    file.read(2, buffer);
    EXPECT_EQ(static_cast<char>(buffer[7]), '9');
    EXPECT_EQ(file.bytes_read(), 8U);
    expect_error(Failure::Input, {"x", "truncated", "8 bytes", "offset 3", "10 bytes"}, [&] { file.read(3, buffer); });
    expect_error(Failure::Input, {"offset 18446744073709551615"}, [&] { file.read(UINT64_MAX, buffer); });
    fs::resize_file(dir / "x", 5);  // after it was opened
    expect_error(Failure::Input, {"x", "truncated", "only 3 are there"}, [&] { file.read(2, buffer); });
}

TEST(AtomicFile, AppearsOnlyAtCommit) {
    const TempDir dir;
    {
        AtomicFile file(dir / "x");
        file.append("lost");
        EXPECT_FALSE(fs::exists(dir / "x"));
    }
    EXPECT_EQ(dir.entries(), 0U);
    AtomicFile file(dir / "x");
    file.append("head");
    file.write_at(8, std::as_bytes(std::span("tail", 4)));
    file.append("body");
    file.commit();
    EXPECT_EQ(slurp(dir / "x"), "headbodytail");
    EXPECT_EQ(dir.entries(), 1U);
}

TEST(Files, LeftoversAreTemporaryNamesAndNothingElse) {
    const TempDir dir;
    const auto file = io_detail::temporary_beside(dir / "step-3.h5"), directory = io_detail::temporary_beside(dir / "adapter");
    put(file, "torn");
    fs::create_directories(directory / "inside");
    for (const auto* name : {".tandem", "step-3.h5", ".x.tmp-", "x.tmp-12-0123abcd", ".x.tmp-12-0123abcde"}) put(dir / name, "mine");
    EXPECT_EQ(dir.entries(), 7U);
    remove_leftovers(dir.path());
    EXPECT_EQ(dir.entries(), 5U);
    EXPECT_FALSE(fs::exists(file));
    EXPECT_FALSE(fs::exists(directory));
    remove_leftovers(dir / "nowhere");
}

/// A file-size limit stands in for a full disk; in a child, so that the limit and the ignored signal stay there.
TEST(AtomicFile, FullDiskIsARunFailureAndLeavesNothing) {
    const TempDir dir;
    put(dir / "x", "old");
    const auto child = ::fork();
    if (child == 0) {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{4096, 4096};
        int code = 9;
        if (::setrlimit(RLIMIT_FSIZE, &limit) == 0) {
            try {
                write_file_atomically(dir / "x", std::string(10000, 'y'));
            } catch (const Error& e) {
                const std::string what = e.what();
                code = e.failure() == Failure::Run && what.find("cannot write: File too large") != std::string::npos ? 0 : 8;
            }
        }
        ::_exit(code);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_EQ(slurp(dir / "x"), "old");
    EXPECT_EQ(dir.entries(), 1U);
}

TEST(AtomicDirectory, AppearsOnlyAtCommitAndReplaces) {
    const TempDir dir;
    {
        const AtomicDirectory lost(dir / "d");
        put(lost.path() / "a", "1");
    }
    EXPECT_EQ(dir.entries(), 0U);
    for (const auto* text : {"one", "two"}) {
        AtomicDirectory made(dir.path() / "d" / "");  // a trailing slash is taken
        put(made.path() / text, text);
        fs::create_directory(made.path() / "inner");
        put(made.path() / "inner" / "b", text);
        made.commit();
    }
    EXPECT_EQ(slurp(dir.path() / "d" / "inner" / "b"), "two");
    EXPECT_FALSE(fs::exists(dir.path() / "d" / "one"));  // the old contents are gone
    EXPECT_EQ(dir.entries(), 1U);
    put(dir / "file", "x");
    expect_error(Failure::Configuration, {"file", "not a directory"}, [&] { const AtomicDirectory made(dir / "file"); });
    expect_error(Failure::Configuration, {"nowhere", "No such file"}, [&] { const AtomicDirectory made(dir.path() / "nowhere" / "d"); });
    fs::create_directory(dir / "empty");
    AtomicDirectory over_empty(dir / "empty");
    put(over_empty.path() / "a", "1");
    over_empty.commit();
    EXPECT_TRUE(fs::exists(dir.path() / "empty" / "a"));
}

/// What cannot take a new directory is found out before anything is written, not at the end.
TEST(AtomicDirectory, FollowsLinksAndRefusesMounts) {
    const TempDir dir;
    fs::create_directory(dir / "far");
    fs::create_directory_symlink(dir / "far", dir / "link");
    AtomicDirectory made(dir / "link");
    put(made.path() / "a", "1");
    made.commit();
    EXPECT_TRUE(fs::is_symlink(dir / "link"));
    EXPECT_EQ(slurp(dir / "far" / "a"), "1");
    fs::create_directory_symlink(dir / "nowhere", dir / "dangling");
    expect_error(Failure::Configuration, {"dangling", "symbolic link"}, [&] { const AtomicDirectory d(dir / "dangling"); });
    expect_error(Failure::Configuration, {"/proc", "mounted"}, [&] { const AtomicDirectory d("/proc"); });
}

TEST(FileLock, ExcludesAnotherHolder) {
    const TempDir dir;
    {
        const FileLock first(dir / "lock", std::chrono::milliseconds(0));
        expect_error(Failure::Run, {"lock", "another process"},
                     [&] { const FileLock second(dir / "lock", std::chrono::milliseconds(50)); });
    }
    const FileLock again(dir / "lock", std::chrono::milliseconds(0));
    expect_error(Failure::Configuration, {"nowhere"},
                 [&] { const FileLock l(dir.path() / "nowhere" / "lock", std::chrono::milliseconds(0)); });
}

}  // namespace
}  // namespace tandem
