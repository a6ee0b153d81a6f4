#include "tests/support/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>

#include "kernels/base/error.h"
#include "kernels/loader/plugin.h"

extern char** environ;

namespace tandem::test {
namespace {

namespace fs = std::filesystem;

/// The build's, or in a bundle the one beside the test.
fs::path built_program() { return fs::exists(TANDEM_PROGRAM) ? fs::path(TANDEM_PROGRAM) : program_directory() / "tandem"; }

Arguments command_line(const Arguments& arguments, const Launch& launch) {
    const auto limit = std::to_string(launch.seconds);
    Arguments words = {"env", "OMP_NUM_THREADS=" + std::to_string(launch.threads)};
    if (launch.ranks > 0) {
        words = words + Arguments{(source_directory() / "tests/support/mpi-run").string(), std::to_string(launch.ranks), limit};
    } else {
        words = words + Arguments{"timeout", "--preserve-status", "--kill-after=5", limit};
    }
    return words + Arguments{launch.program.empty() ? built_program().string() : launch.program} + arguments;
}

/// Starts argv with its standard streams on files and waits for its end.
int spawn_and_wait(const Arguments& words, const fs::path& in, const fs::path& out, const fs::path& err) {
    std::vector<char*> argv;
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t streams;
    int status = posix_spawn_file_actions_init(&streams);
    require(status == 0, "posix_spawn_file_actions_init: {}", std::strerror(status));
    const int create = O_WRONLY | O_CREAT | O_TRUNC;
    for (const auto& [file, descriptor, flags] : {std::tuple{&in, 0, O_RDONLY}, std::tuple{&out, 1, create}, std::tuple{&err, 2, create}}) {
        status = posix_spawn_file_actions_addopen(&streams, descriptor, file->c_str(), flags, 0600);
        require(status == 0, "posix_spawn_file_actions_addopen: {}", std::strerror(status));
    }
    pid_t child = 0;
    status = posix_spawnp(&child, argv[0], &streams, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&streams);
    require(status == 0, "cannot start {}: {}", argv[0], std::strerror(status));
    int ended = 0;
    while (waitpid(child, &ended, 0) < 0) require(errno == EINTR, "waitpid: {}", std::strerror(errno));
    return WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
}

}  // namespace

Arguments operator+(Arguments a, const Arguments& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

Arguments as_options(const nlohmann::json& object) {
    Arguments words;
    for (const auto& [key, value] : object.items()) words = words + Arguments{"--" + key, value.get<std::string>()};
    return words;
}

Finished run_program(const Arguments& arguments, const Launch& launch) {
    const Scratch streams;
    std::ofstream(streams / "in") << launch.input;
    const auto words = command_line(arguments, launch);
    Finished result;
    for (const auto& word : words) result.command += (result.command.empty() ? "" : " ") + word;
    result.code = spawn_and_wait(words, streams / "in", streams / "out", streams / "err");
    result.out = read_text(streams / "out");
    result.err = read_text(streams / "err");
    return result;
}

Finished run_well(const Arguments& arguments, const Launch& launch) {
    auto result = run_program(arguments, launch);
    if (result.code != 0) ADD_FAILURE() << result.command << "\nexit code " << result.code << "\n" << result.out << result.err;
    return result;
}

Scratch::Scratch() {
    auto name = (fs::temp_directory_path() / "tandem-test-XXXXXX").string();
    require(mkdtemp(name.data()) != nullptr, "mkdtemp {}: {}", name, std::strerror(errno));
    path_ = name;
}

Scratch::~Scratch() {
    if (testing::Test::HasFailure()) {
        fmt::print(stderr, "kept for inspection: {}\n", path_.string());
        return;
    }
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

fs::path source_directory() { return fs::exists(TANDEM_SOURCE_DIR) ? fs::path(TANDEM_SOURCE_DIR) : program_directory().parent_path(); }

std::string read_text(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    require(stream.is_open(), "{}: cannot be opened", file.string());
    return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<nlohmann::json> read_json_lines(const fs::path& file) {
    std::vector<nlohmann::json> lines;
    std::istringstream text(read_text(file));
    for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
}

std::vector<nlohmann::json> read_steps(const fs::path& output) {
    std::vector<nlohmann::json> steps;
    for (const auto& entry : read_json_lines(output / "log.jsonl"))
        if (entry.contains("loss")) steps.push_back(entry);
    return steps;
}

}  // namespace tandem::test
