// Files and errors for the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "kernels/base/error.h"
#include "src/io/files.h"

namespace tandem::test {

inline std::filesystem::path here() { return std::filesystem::path(TANDEM_SOURCE_DIR) / "tests/tokenizer"; }
inline std::filesystem::path model(const std::string& name) { return here() / "models" / name; }
inline nlohmann::ordered_json json_of(const std::filesystem::path& file) { return nlohmann::ordered_json::parse(read_file(file)); }

/// A directory of its own, gone at the end.
class Folder {
public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "tandem-tokenizer-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
        path_ = name;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    void write(const std::string& name, const std::string& text) const { std::ofstream(path_ / name) << text; }

private:
    std::filesystem::path path_;
};

/// What `f` throws; fails the test if it does not.
template <class F>
Error error_of(F&& f) {
    try {
        f();
    } catch (const Error& error) {
        return error;
    }
    ADD_FAILURE() << "no error was thrown";
    return Error(Failure::Run, "");
}

inline void expect_message(const Error& error, Failure failure, std::initializer_list<std::string_view> parts) {
    EXPECT_EQ(error.failure(), failure) << error.what();
    for (const auto part : parts)
        EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos) << error.what() << "\nlacks " << part;
}

}  // namespace tandem::test
