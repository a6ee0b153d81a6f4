// What device.attention = auto means: the real program on emulated GPUs of two architectures, with a made-up library in the place of cuDNN
// (tests/support/emulator/attention_library.h) that is there, missing, or wrong.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/invariance/invariance_run.h"

namespace tandem::test {
namespace {

/// The emulated machine of the programs that are started meanwhile.
class Machine {
public:
    Machine(const char* architecture, const char* library) {
        EXPECT_EQ(setenv("TANDEM_EMULATED_ARCHITECTURE", architecture, 1), 0);
        EXPECT_EQ(setenv("TANDEM_EMULATED_LIBRARY", library, 1), 0);
    }
    ~Machine() {
        unsetenv("TANDEM_EMULATED_ARCHITECTURE");
        unsetenv("TANDEM_EMULATED_LIBRARY");
    }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;
};

struct TrainingRun {
    Finished finished;
    Trained trained;
    nlohmann::json reserved;  ///< bytes by kind
    [[nodiscard]] bool says(const std::string& words) const { return (finished.out + finished.err).find(words) != std::string::npos; }
    [[nodiscard]] bool by_library() const { return says("attention forward by emulated attention library"); }
};

class EmulatedAttention : public testing::Test {
protected:
    /// Two steps with this device.attention.
    TrainingRun train(const std::string& attention, int ranks = 0) {
        const std::string output = scratch_ / std::to_string(++runs_);
        TrainingRun run{.finished = run_well(training_command(subject_, output) + Arguments{"--device.attention", attention},
                                             {.ranks = ranks, .program = TANDEM_EMULATED}),
                        .trained = {},
                        .reserved = {}};
        if (run.finished.code != 0) return run;
        run.trained = read_trained(subject_, output);
        run.reserved = nlohmann::json::parse(read_text(output + "/manifest.json")).at("memory").at("reserved_bytes");
        return run;
    }
    [[nodiscard]] nlohmann::json answer(const Arguments& words) const {
        const Finished run = run_well(words + Arguments{"--json"}, {.program = TANDEM_EMULATED});
        return nlohmann::json::parse(run.out, nullptr, false);
    }
    /// `train CONFIG --key value ...` as another command.
    [[nodiscard]] Arguments as(const std::string& command) const {
        Arguments words = training_command(subject_, scratch_ / "none");
        words.front() = command;
        return words;
    }

    Scratch scratch_;
    Subject subject_{"lora_bf16", "mistral_window", "lora", "cuda", "bf16", {"--training.max_steps", "2"}};
    int runs_ = 0;
};

constexpr auto kHopper = "sm_90", kAmpere = "sm_80";

}  // namespace

TEST_F(EmulatedAttention, AutoIsTheLibraryOnCardsThatItServesBest) {
    TrainingRun by_own, by_library;
    {
        const Machine machine(kAmpere, "");
        by_own = train("auto");
        EXPECT_FALSE(by_own.by_library()) << by_own.finished.out;
        by_library = train("cudnn");
        EXPECT_TRUE(by_library.by_library()) << by_library.finished.out;
    }
    const Machine machine(kHopper, "");
    const TrainingRun chosen = train("auto");
    EXPECT_TRUE(chosen.by_library()) << chosen.finished.out;
    expect_identical(chosen.trained, by_library.trained);
    EXPECT_EQ(chosen.reserved, by_library.reserved);
    expect_identical(train("own").trained, by_own.trained);
    const TrainingRun of_two = train("auto", 2);
    EXPECT_TRUE(of_two.by_library()) << of_two.finished.out;
    subject_.dtype = "fp32";
    const TrainingRun in_fp32 = train("auto");
    EXPECT_FALSE(in_fp32.by_library()) << "it computes in 16-bit types only: " << in_fp32.finished.out;
}

TEST_F(EmulatedAttention, AutoIsOwnKernelsWhereTheLibraryIsMissingOrWrong) {
    TrainingRun by_own;
    {
        const Machine machine(kHopper, "missing");
        by_own = train("auto");
        EXPECT_FALSE(by_own.by_library()) << by_own.finished.out;
        expect_identical(train("own").trained, by_own.trained);
    }
    const Machine machine(kHopper, "wrong");
    const TrainingRun found_out = train("auto");
    expect_identical(found_out.trained, by_own.trained);
    EXPECT_TRUE(
        found_out.says("by own kernels: emulated attention library: on known samples it and own kernels do not agree: lse of "
                       "head 0"))
        << found_out.finished.err;
    const Finished asked_for = run_program(training_command(subject_, scratch_ / "asked") + Arguments{"--device.attention", "cudnn"},
                                           {.program = TANDEM_EMULATED});
    EXPECT_EQ(asked_for.code, 1);
    EXPECT_NE(asked_for.err.find("set device.attention = own"), std::string::npos) << asked_for.err;
}

TEST_F(EmulatedAttention, DoctorAndPlanKnowIt) {
    const std::string file = scratch_ / "here.ini";
    nlohmann::json own, library;
    {
        const Machine machine(kHopper, "missing");
        const auto facts = answer({"doctor"}).at("cuda");
        EXPECT_EQ(facts.at("devices")[0].at("attention"), "own");
        EXPECT_EQ(facts.at("attention_library"), "the emulated library is missing");
        own = answer(as("plan"));
    }
    const Machine machine(kHopper, "");
    const auto facts = answer({"doctor", "--hardware", file}).at("cuda");
    EXPECT_EQ(facts.at("devices")[0].at("attention"), "emulated attention library");
    EXPECT_NE(read_text(file).find("attention = cudnn"), std::string::npos) << read_text(file);
    library = answer(as("plan"));
    EXPECT_EQ(library.at("context_bytes").get<std::int64_t>() - own.at("context_bytes").get<std::int64_t>(), std::int64_t{128} << 20U);
    // The file says the same of the machine where there is none.
    EXPECT_EQ(answer(as("plan") + Arguments{"--hardware", file}).at("peak_bytes"), library.at("peak_bytes"));
    // And what is planned is what a run reserves.
    std::int64_t reserved = 0;
    const TrainingRun run = train("auto");
    for (const auto& [kind, bytes] : run.reserved.items()) reserved += bytes.get<std::int64_t>();
    EXPECT_EQ(library.at("peak_bytes"), reserved);
}

}  // namespace tandem::test
