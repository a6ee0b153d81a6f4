// The command line of a subcommand: what is accepted, and the message for everything else.
#include "launch/options.h"

#include <gtest/gtest.h>

#include "kernels/base/error.h"
#include "parallel/runtime.h"

namespace tandem {
namespace {

const Command kCommand = {"fry", "PAN [--fat text]", "fries", nullptr};

struct Kitchen {
    std::string pan;
    std::string fat = "butter";
    std::optional<std::string> lid;
    std::int64_t eggs = 2;
    std::uint64_t seed = 0;
    double heat = 0.5;
    std::string side = "up";
    DType dtype = DType::BF16;
    std::optional<std::uint64_t> room;
    std::optional<double> timer;
    bool json = false;
    std::vector<Override> overrides;
};

class Options : public ::testing::Test {
protected:
    bool parse(const std::vector<std::string>& words) {
        kitchen = Kitchen();
        CommandLine line = declare();
        const bool go_on = line.parse(words);
        eggs_given = line.given("eggs");
        return go_on;
    }
    CommandLine declare() {
        CommandLine line(kCommand, runtime);
        line.argument("PAN", kitchen.pan, "which pan")
            .option("fat", kitchen.fat, "what to fry in")
            .option("lid", kitchen.lid, "what to cover it with")
            .option("eggs", kitchen.eggs, 1, "how many")
            .option("seed", kitchen.seed, "of chance")
            .option("heat", kitchen.heat, 0, 1, "how hot")
            .choice("side", kitchen.side, {"up", "over"}, "which side is sunny")
            .choice("dtype", kitchen.dtype, {DType::BF16, DType::F32}, "the type")
            .bytes("room", kitchen.room, "all", "on the stove")
            .seconds("timer", kitchen.timer, "when it is done")
            .flag("json", kitchen.json, "for machines");
        if (with_configuration) line.configuration(kitchen.overrides);
        return line;
    }
    std::string refusal(const std::vector<std::string>& words) {
        try {
            (void)parse(words);
            return "";
        } catch (const Error& error) {
            EXPECT_EQ(error.failure(), Failure::Configuration);
            return error.what();
        }
    }
    void expect_refusal(const std::vector<std::string>& words, const std::string& part) {
        const auto message = refusal(words);
        EXPECT_NE(message.find(part), std::string::npos) << "found: '" << message << "'\nexpected: '" << part << "'";
    }

    static inline Runtime runtime;
    Kitchen kitchen;
    bool eggs_given = false;
    bool with_configuration = false;
};

TEST_F(Options, ValuesReachTheirTargets) {
    ASSERT_TRUE(parse({"--fat=oil", "iron", "--eggs", "3", "--heat", "0.25", "--side=over", "--dtype", "fp32", "--json", "--lid", "glass",
                       "--seed=7", "--room", "2KiB", "--timer", "2min"}));
    EXPECT_EQ(kitchen.timer, 120);
    EXPECT_EQ(kitchen.pan, "iron");
    EXPECT_EQ(kitchen.fat, "oil");
    EXPECT_EQ(kitchen.lid, "glass");
    EXPECT_EQ(kitchen.eggs, 3);
    EXPECT_EQ(kitchen.seed, 7U);
    EXPECT_EQ(kitchen.heat, 0.25);
    EXPECT_EQ(kitchen.side, "over");
    EXPECT_EQ(kitchen.dtype, DType::F32);
    EXPECT_EQ(kitchen.room, 2048U);
    EXPECT_TRUE(kitchen.json);
    EXPECT_TRUE(eggs_given);
}

TEST_F(Options, WhatIsNotGivenKeepsItsDefault) {
    ASSERT_TRUE(parse({"iron"}));
    EXPECT_EQ(kitchen.fat, "butter");
    EXPECT_FALSE(kitchen.lid.has_value());
    EXPECT_FALSE(kitchen.timer.has_value());
    ASSERT_TRUE(parse({"iron", "--timer=auto"}));
    EXPECT_FALSE(kitchen.timer.has_value());
    expect_refusal({"iron", "--timer", "soon"}, "--timer");
    EXPECT_FALSE(kitchen.json);
    EXPECT_FALSE(eggs_given);
}

TEST_F(Options, OddValues) {
    ASSERT_TRUE(parse({"iron", "--fat", ""}));
    EXPECT_EQ(kitchen.fat, "");
    ASSERT_TRUE(parse({"iron", "--fat", "a=b"}));
    EXPECT_EQ(kitchen.fat, "a=b");
    ASSERT_TRUE(parse({"iron", "--fat", "-1 is cold\nline"}));
    EXPECT_EQ(kitchen.fat, "-1 is cold\nline");
    ASSERT_TRUE(parse({"iron", "--fat", "--lard"}));
    EXPECT_EQ(kitchen.fat, "--lard");
    ASSERT_TRUE(parse({"--", "--pan"}));
    EXPECT_EQ(kitchen.pan, "--pan");
    ASSERT_TRUE(parse({"-"}));
    EXPECT_EQ(kitchen.pan, "-");
}

TEST_F(Options, Slips) {
    expect_refusal({"iron", "--egs", "3"}, "unknown option '--egs' of tandem fry; did you mean '--eggs'?");
    expect_refusal({"iron", "--egg=3"}, "unknown option '--egg' of tandem fry; did you mean '--eggs'?");
    expect_refusal({"iron", "--frobnicate"}, "unknown option '--frobnicate' of tandem fry (`tandem fry --help`");
    expect_refusal({"iron", "-e", "3"}, "unknown option '-e' of tandem fry");
    expect_refusal({"iron", "--lora.r", "8"}, "unknown option '--lora.r'");
    expect_refusal({"iron", "--hel"}, "did you mean '--help'?");
}

TEST_F(Options, BadForms) {
    expect_refusal({}, "PAN is missing; usage: tandem fry PAN [--fat text]");
    expect_refusal({"iron", "steel"}, "unexpected argument 'steel'");
    expect_refusal({"iron", "--eggs"}, "option '--eggs' has no value, expected a whole number, at least 1");
    expect_refusal({"iron", "--eggs", "--json"}, "option '--eggs' has no value");
    expect_refusal({"iron", "--fat="}, "option '--fat' has no value, expected text");
    expect_refusal({"iron", "--eggs", "2", "--eggs", "2"}, "option '--eggs' is given twice");
    expect_refusal({"iron", "--json", "--json"}, "option '--json' is given twice");
    expect_refusal({"iron", "--json=yes"}, "option '--json' takes no value");
    expect_refusal({"iron", "--eggs", "0"}, "option '--eggs': found '0', expected a whole number, at least 1");
    expect_refusal({"iron", "--eggs", "two"}, "option '--eggs': found 'two'");
    expect_refusal({"iron", "--heat", "nan"}, "option '--heat': found 'nan', expected a number, from 0 to 1");
    expect_refusal({"iron", "--heat", "-0.1"}, "option '--heat': found '-0.1'");
    expect_refusal({"iron", "--side", "ovr"}, "found 'ovr', expected up or over; did you mean 'over'?");
    expect_refusal({"iron", "--dtype", "fp64"}, "found 'fp64', expected bf16 or fp32");
    expect_refusal({"iron", "--room", "much"}, "found 'much', expected a number of bytes");
}

TEST_F(Options, HelpWinsOverWhatIsMissing) {
    ::testing::internal::CaptureStdout();
    EXPECT_FALSE(parse({"--help"}));
    const auto text = ::testing::internal::GetCapturedStdout();
    for (const char* part : {"tandem fry: fries", "usage: tandem fry PAN", "--fat", "[butter]", "a whole number, at least 1", "--help"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
    }
    ::testing::internal::CaptureStdout();
    EXPECT_FALSE(parse({"iron", "-h"}));
    EXPECT_EQ(::testing::internal::GetCapturedStdout(), text);
}

TEST_F(Options, RequiredOptions) {
    std::string model;
    CommandLine line(kCommand, runtime);
    line.option("model", model, "which").required();
    try {
        (void)line.parse({});
        FAIL();
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("option '--model' is missing"), std::string::npos) << error.what();
    }
}

TEST_F(Options, ConfigurationKeysAreOptions) {
    with_configuration = true;
    ASSERT_TRUE(parse({"iron", "--lora.r", "8", "--eggs=3", "--optimizer.learning_rate=-1", "--training.max_steps", "-5"}));
    ASSERT_EQ(kitchen.overrides.size(), 3U);
    EXPECT_EQ(kitchen.overrides[0].key, "lora.r");
    EXPECT_EQ(kitchen.overrides[0].value, "8");
    EXPECT_EQ(kitchen.overrides[1].value, "-1") << "the table refuses it, with the reason";
    EXPECT_EQ(kitchen.overrides[2].value, "-5");
    expect_refusal({"iron", "--lora.rank", "8"}, "unknown option '--lora.rank' of tandem fry; did you mean '--lora.r'?");
    expect_refusal({"iron", "--learning_rate", "1"}, "did you mean '--optimizer.learning_rate'?");
    expect_refusal({"iron", "--training.max_step", "1"}, "did you mean '--training.max_steps'?");
    expect_refusal({"iron", "--lora.r"}, "option '--lora.r' has no value");
    expect_refusal({"iron", "--lora.r", "8", "--lora.r=8"}, "option '--lora.r' is given twice");
    ::testing::internal::CaptureStdout();
    EXPECT_FALSE(parse({"--help-markdown"}));
    EXPECT_EQ(::testing::internal::GetCapturedStdout().substr(0, 15), "# Configuration");
}

}  // namespace
}  // namespace tandem
