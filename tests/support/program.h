// Runs the real program as a user would, and reads what it leaves.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tandem::test {

struct Launch {
    int ranks = 0;  ///< 0: without a launcher
    int threads = 1;
    std::string input = {};    ///< what it reads on stdin
    int seconds = 100;         ///< ended after that, exit code 124
    std::string program = {};  ///< in place of build/tandem
};

struct Finished {
    int code = -1;  ///< exit code; 128 + signal where one ended it
    std::string out, err;
    std::string command;  ///< for messages
};

using Arguments = std::vector<std::string>;

/// build/tandem with these words after it. Throws Error{Run} where it cannot be started.
Finished run_program(const Arguments& arguments, const Launch& launch = {});

/// The same; anything but exit code 0 fails the test with the command and its output.
Finished run_well(const Arguments& arguments, const Launch& launch = {});

/// `--key value` for every entry of a JSON object of texts.
Arguments as_options(const nlohmann::json& object);
Arguments operator+(Arguments a, const Arguments& b);

/// A directory of its own, removed at the end; kept and named where the test failed.
class Scratch {
public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] std::string operator/(const std::string& name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

/// The checkout, or the bundle that the test is in; and a file's text.
std::filesystem::path source_directory();
std::string read_text(const std::filesystem::path& file);
std::vector<nlohmann::json> read_json_lines(const std::filesystem::path& file);
/// The steps of OUTPUT/log.jsonl, without validations.
std::vector<nlohmann::json> read_steps(const std::filesystem::path& output);

}  // namespace tandem::test
