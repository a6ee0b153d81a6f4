// A directory of small files for one test, and what prepare() is asked about them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/error.h"
#include "src/data/prepare.h"

namespace tandem::test {

class Directory {
public:
    Directory() {
        auto name = (std::filesystem::temp_directory_path() / "tandem-data-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
        path_ = name;
    }
    ~Directory() {
        std::error_code error;
        std::filesystem::remove_all(path_, error);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;

    [[nodiscard]] std::string path(const std::string& name) const { return (path_ / name).string(); }
    std::string write(const std::string& name, std::string_view contents) const {
        std::ofstream out(path_ / name, std::ios::binary);
        out << contents;
        return path(name);
    }
    /// Names of all entries, sorted, hidden ones too.
    [[nodiscard]] std::vector<std::string> names(const std::string& below = "") const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(path_ / below)) names.push_back(entry.path().filename().string());
        std::sort(names.begin(), names.end());
        return names;
    }

private:
    std::filesystem::path path_;
};

/// A line of tokenised data.
inline std::string tokens(std::initializer_list<int> ids) {
    std::string text;
    for (const int id : ids) text += (text.empty() ? "" : ", ") + std::to_string(id);
    return "{\"input_ids\": [" + text + "]}\n";
}

/// n samples of lengths 2 to 8 with ids that tell them apart.
inline std::string many_samples(int n) {
    std::string text;
    for (int i = 0; i < n; ++i) {
        text += "{\"input_ids\": [" + std::to_string(i % 100);
        for (int k = 0; k < 1 + i % 7; ++k) text += ", " + std::to_string((i / 100 + k) % 100);
        text += "]}\n";
    }
    return text;
}

/// Settings for tokenised samples, which need no tokenizer.
inline DataSettings settings_for(const Directory& directory, std::vector<std::string> files) {
    DataSettings settings;
    settings.files = std::move(files);
    settings.max_seq_length = 8;
    settings.vocabulary = 100;
    settings.cache = directory.path("cache");
    return settings;
}

struct Sample {
    std::vector<std::int32_t> ids, labels;
    friend bool operator==(const Sample&, const Sample&) = default;
};

inline Sample read(const TokenFile& file, std::int64_t i) {
    Sample sample;
    sample.ids.resize(static_cast<std::size_t>(file.length(i)));
    sample.labels.resize(sample.ids.size());
    file.read(i, sample.ids, sample.labels);
    return sample;
}

inline std::vector<Sample> read_all(const TokenFile& file) {
    std::vector<Sample> samples;
    for (std::int64_t i = 0; i < file.samples(); ++i) samples.push_back(read(file, i));
    return samples;
}

/// The error that `action` throws; fails the test if it throws none.
inline Error error_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        return error;
    }
    ADD_FAILURE() << "no error";
    return {Failure::Run, ""};
}

}  // namespace tandem::test
