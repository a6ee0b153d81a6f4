// A directory with the few files that a configuration may point to, and how to read one from text there.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "kernels/base/error.h"
#include "src/config/load.h"

namespace tandem {

/// What is needed before the keys under test come; 4 lines.
inline const std::string kMinimal = "model.path = model\ndata.train = train.jsonl\noutput.dir = out\ndata.validation = held.jsonl\n";

class ConfigFixture : public ::testing::Test {
protected:
    void SetUp() override {
        before_ = std::filesystem::current_path();
        std::string pattern = (std::filesystem::temp_directory_path() / "tandem-config-XXXXXX").string();
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
        std::filesystem::current_path(directory_);
        std::filesystem::create_directories("model");
        std::filesystem::create_directories("adapter");
        for (const char* name : {"train.jsonl", "held.jsonl", "model.gguf", "template.jinja"}) std::ofstream(name) << "{}\n";
    }
    void TearDown() override {
        std::filesystem::current_path(before_);
        std::filesystem::remove_all(directory_);
    }

    static RunConfig parse(const std::string& text, const std::vector<Override>& overrides = {}, Purpose purpose = Purpose::Train) {
        return parse_run_config(text, "run.ini", overrides, purpose);
    }
    /// The message that `text` is refused with; "" if it is accepted.
    static std::string refusal(const std::string& text, const std::vector<Override>& overrides = {}, Purpose purpose = Purpose::Train) {
        try {
            (void)parse(text, overrides, purpose);
            return "";
        } catch (const Error& error) {
            EXPECT_EQ(error.failure(), Failure::Configuration) << error.what();
            return error.what();
        }
    }

private:
    std::filesystem::path before_, directory_;
};

}  // namespace tandem
