#include "src/data/data_files.h"

#include <glob.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "kernels/base/error.h"

namespace tandem {

namespace {

struct GlobMatches {
    glob_t matches{};
    GlobMatches() = default;
    GlobMatches(const GlobMatches&) = delete;
    GlobMatches& operator=(const GlobMatches&) = delete;
    ~GlobMatches() { globfree(&matches); }
};

std::vector<std::string> expand(const std::string& pattern) {
    GlobMatches found;
    const int status = glob(pattern.c_str(), 0, nullptr, &found.matches);  // sorted by name
    if (status == GLOB_NOSPACE) fail(Failure::Run, "data file {}: out of memory while looking for matches", pattern);
    if (status == GLOB_ABORTED) fail(Failure::Configuration, "data file {}: a directory on the way cannot be read", pattern);
    if (status == GLOB_NOMATCH) {
        const bool is_glob = pattern.find_first_of("*?[") != std::string::npos;
        fail(Failure::Configuration, "data file {}: {}; paths are relative to the working directory {}", pattern,
             is_glob ? "no file matches" : "does not exist", std::filesystem::current_path().string());
    }
    return {found.matches.gl_pathv, found.matches.gl_pathv + found.matches.gl_pathc};
}

void check_readable(const std::string& file) {
    std::error_code error;
    if (std::filesystem::is_directory(file, error)) {
        fail(Failure::Configuration, "data file {}: is a directory; name its files, such as {}/*.jsonl", file, file);
    }
    if (access(file.c_str(), R_OK) != 0) {
        fail(Failure::Configuration, "data file {}: cannot be read: {}", file, std::generic_category().message(errno));
    }
}

}  // namespace

std::vector<std::string> expand_files(const std::vector<std::string>& patterns) {
    std::vector<std::string> files;
    for (const auto& pattern : patterns) {
        std::error_code error;
        if (std::filesystem::exists(pattern, error)) {
            files.push_back(pattern);
        } else {
            for (auto& file : expand(pattern)) files.push_back(std::move(file));
        }
    }
    for (const auto& file : files) check_readable(file);
    return files;
}

}  // namespace tandem
