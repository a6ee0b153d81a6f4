// Things that hold for every row of the option table, whatever the row.
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "src/config/option_table.h"
#include "src/config/suggest.h"
#include "tests/config/config_fixture.h"

namespace tandem {
namespace {

class Keys : public ConfigFixture {};

/// Every way to get one letter wrong: left out, doubled, replaced, swapped with the next.
std::vector<std::string> slips(const std::string& key) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < key.size(); ++i) {
        if (key[i] == '.') continue;
        out.push_back(key.substr(0, i) + key.substr(i + 1));
        out.push_back(key.substr(0, i) + key[i] + key.substr(i));
        out.push_back(key.substr(0, i) + (key[i] == 'q' ? 'z' : 'q') + key.substr(i + 1));
        if (i + 1 < key.size() && key[i + 1] != '.' && key[i] != key[i + 1]) {
            out.push_back(key.substr(0, i) + key[i + 1] + key[i] + key.substr(i + 2));
        }
    }
    return out;
}

TEST_F(Keys, EverySlipOfAKeyIsRefusedWithTheRightSuggestion) {
    std::size_t tried = 0;
    for (const auto& option : option_table()) {
        for (const auto& slip : slips(option.key)) {
            if (find_option(slip) != nullptr) continue;
            const auto message = refusal(kMinimal + slip + " = 1\n");
            const auto start = "run.ini:5: unknown key '" + slip + "'; did you mean '";
            ASSERT_EQ(message.substr(0, start.size()), start) << message;
            const auto suggestion = message.substr(start.size(), message.find('\'', start.size()) - start.size());
            // `beta` is as near to beta1 as to beta2: then either is right.
            EXPECT_TRUE(suggestion == option.key || edit_distance(slip, suggestion) <= edit_distance(slip, option.key)) << message;
            ++tried;
        }
    }
    EXPECT_GT(tried, 2000U);
}

TEST_F(Keys, ARightKeyInTheWrongSectionIsFound) {
    EXPECT_NE(refusal("[training]\nlearning_rate = 1e-4\n").find("did you mean 'optimizer.learning_rate'?"), std::string::npos);
    EXPECT_NE(refusal("[training]\nwarmup_steps = 10\n").find("did you mean 'schedule.warmup_steps'?"), std::string::npos);
    EXPECT_NE(refusal("max_steps = 10\n").find("did you mean 'training.max_steps'?"), std::string::npos);
    EXPECT_NE(refusal("[lora]\ntraining.max_steps = 10\n").find("did you mean 'training.max_steps'?"), std::string::npos);
}

TEST_F(Keys, NamesOfOtherTrainersAreUnderstood) {
    EXPECT_NE(refusal("[training]\ngradient_accumulation_steps = 4\n").find("'training.global_batch_size'"), std::string::npos);
    EXPECT_NE(refusal("[lora]\nrank = 8\n").find("'lora.r'"), std::string::npos);
    EXPECT_NE(refusal("lr_scheduler_type = cosine\n").find("'schedule.type'"), std::string::npos);
}

TEST_F(Keys, EveryDefaultCanBeTyped) {
    const auto base = parse(kMinimal);
    for (const auto& option : option_table()) {
        if (option.default_text == "required" || base.given(option.key)) continue;
        const auto typed = parse(kMinimal + option.key + " = " + option.default_text + "\n");
        EXPECT_EQ(option.get(typed), option.get(base)) << option.key << " = " << option.default_text;
        EXPECT_EQ(typed.origin(option.key), "run.ini:5");
        EXPECT_EQ(base.origin(option.key), "default");
    }
}

TEST_F(Keys, EveryKeyIsHeldByTheHelpAndTheManifest) {
    const auto help = configuration_help();
    const auto manifest = to_json(parse(kMinimal, {{"lora.r", "8"}}));
    for (const auto& option : option_table()) {
        EXPECT_NE(help.find("  " + option.key + " "), std::string::npos) << option.key;
        EXPECT_TRUE(manifest.at(std::string(option.section())).contains(std::string(option.leaf()))) << option.key;
        EXPECT_FALSE(option.help.empty());
        EXPECT_EQ(option.help.find('\n'), std::string::npos);
        EXPECT_EQ(option.help.find('|'), std::string::npos) << "would end a table cell: " << option.key;
    }
    EXPECT_EQ(manifest.at("lora").at("r").dump(), R"({"value":8,"origin":"command line"})");
    EXPECT_EQ(manifest.at("model").at("path").dump(), R"({"value":"model","origin":"run.ini:1"})");
    EXPECT_EQ(manifest.at("schedule").at("warmup_ratio").dump(), R"({"value":null,"origin":"default"})");
}

TEST_F(Keys, TheConfigurationReferenceIsUpToDate) {
    std::ifstream file(TANDEM_SOURCE_DIR "/docs/configuration.md");
    ASSERT_TRUE(file);
    std::ostringstream text;
    text << file.rdbuf();
    EXPECT_EQ(text.str(), configuration_markdown()) << "write it again: build/tandem train --help-markdown > docs/configuration.md";
}

}  // namespace
}  // namespace tandem
