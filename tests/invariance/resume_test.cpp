// An interrupted run goes on as if it had not been: same bits for the same layout, the usual bounds for another one.
#include <gtest/gtest.h>

#include "tests/invariance/invariance_run.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;

constexpr int kSteps = 5;  ///< one epoch
const Arguments kEveryStep = {"--checkpoint.every", "1", "--checkpoint.keep", "10"};
const Layout kOne = {"one", 0, {}};

const Subject kSubjects[] = {
    {"lora_dropout_bf16",
     "llama_gqa",
     "lora",
     "cpu",
     "bf16",
     {"--lora.dropout", "0.1", "--data.shuffle", "true", "--schedule.warmup_steps", "2"}},
    {"full_tied_fp32", "llama_tied", "full", "cpu", "fp32", {"--optimizer.weight_decay", "0.1"}},
    {"full_8bit_fp32", "llama_tied", "full", "cpu", "fp32", {"--optimizer.name", "adamw_8bit", "--optimizer.weight_decay", "0.1"}},
    {"full_paged_8bit_bf16", "llama_gqa", "full", "cpu", "bf16", {"--optimizer.name", "paged_adamw_8bit"}},
    {"full_sgd_fp64", "qwen2_bias", "full", "ref", "fp64", {"--optimizer.name", "sgd"}},
};

std::string checkpoint(const std::string& output, int step) { return output + "/checkpoints/step-" + std::to_string(step) + ".h5"; }

class Resume : public testing::TestWithParam<Subject> {};

/// From the checkpoint of every step, into a new output directory that holds what the run had left by then.
TEST_P(Resume, AtEveryStepIsBitIdentical) {
    const auto& subject = GetParam();
    const Scratch output;
    const auto want = train(subject, kOne, output / "straight", kEveryStep);
    ASSERT_EQ(want.steps.size(), kSteps);
    for (int step = 1; step < kSteps; ++step) {
        SCOPED_TRACE("resumed after step " + std::to_string(step));
        const auto directory = output / ("from" + std::to_string(step));
        fs::create_directories(directory + "/checkpoints");
        fs::copy(checkpoint(output / "straight", step), directory + "/checkpoints");
        fs::copy(output / "straight/log.jsonl", directory);
        const auto got = train(subject, kOne, directory);
        if (!got.steps.empty()) expect_identical(got, want);
    }
}

/// A checkpoint has no layout: any number of ranks and any packing of the same batches goes on from it.
TEST_P(Resume, InAnotherLayout) {
    const auto& subject = GetParam();
    const Scratch output;
    const auto want = train(subject, kOne, output / "one", kEveryStep);
    const auto by_two = train(subject, {"two", 2, {}}, output / "two", kEveryStep);
    ASSERT_EQ(want.steps.size(), kSteps);
    ASSERT_EQ(by_two.steps.size(), kSteps);
    const std::vector<std::pair<std::string, Layout>> cases = {{"one", {"np2", 2, {"--training.recompute", "full"}}},
                                                               {"two", {"np1_micro2", 0, {"--training.micro_batch_size", "2"}}},
                                                               {"two", {"np4", 4, {}}}};
    for (const auto& [from, layout] : cases) {
        SCOPED_TRACE("from " + from + " to " + layout.name);
        const auto directory = output / (from + layout.name);
        fs::create_directories(directory);
        fs::copy(output / (from + "/log.jsonl"), directory);
        const auto got = train(subject, layout, directory, {"--checkpoint.resume", checkpoint(output / from, 2)});
        if (!got.steps.empty()) expect_alike(subject, got, want);
    }
}

INSTANTIATE_TEST_SUITE_P(Subjects, Resume, testing::ValuesIn(kSubjects), [](const auto& test) { return test.param.name; });

/// The same command with a larger training.max_steps, three times, and once more with nothing left to do.
TEST(ResumeByItself, WithMoreSteps) {
    const Subject subject = {"lora", "qwen2_bias", "lora", "cpu", "fp32", {"--schedule.type", "constant", "--data.shuffle", "true"}};
    const auto steps = [](int n) { return Arguments{"--training.max_steps", std::to_string(n)}; };
    const Scratch output;
    const auto want = train(subject, kOne, output / "straight", steps(12));  // more than two epochs
    ASSERT_EQ(want.steps.size(), 12U);
    Trained got;
    for (const int n : {1, 5, 7, 12, 12}) got = train(subject, kOne, output / "in parts", steps(n));
    ASSERT_EQ(got.steps.size(), 12U);
    expect_identical(got, want);
}

/// The states of the two 8-bit optimizers are the same, and those of adamw are not theirs.
TEST(ResumeByItself, WithTheOtherEightBitOptimizer) {
    const auto subject = [](const char* optimizer) {
        return Subject{optimizer, "llama_gqa", "full", "cpu", "fp32", {"--optimizer.name", optimizer, "--schedule.type", "constant"}};
    };
    const auto steps = [](int n) { return Arguments{"--training.max_steps", std::to_string(n)}; };
    const Scratch output;
    const auto want = train(subject("adamw_8bit"), kOne, output / "straight", steps(6));
    (void)train(subject("adamw_8bit"), kOne, output / "in parts", steps(2));
    (void)train(subject("paged_adamw_8bit"), kOne, output / "in parts", steps(4));
    const auto got = train(subject("adamw_8bit"), kOne, output / "in parts", steps(6));
    ASSERT_EQ(got.steps.size(), 6U);
    expect_identical(got, want);
    const auto refused = run_program(training_command(subject("adamw"), output / "in parts") + steps(8));
    EXPECT_EQ(refused.code, 3) << refused.err;
    for (const char* word : {"step-6.h5", "optimizer.name = adamw_8bit or paged_adamw_8bit", "checkpoint.resume = none"})
        EXPECT_NE(refused.err.find(word), std::string::npos) << word << " in: " << refused.err;
}

/// Stopped by a signal in the middle, as a batch system does it: exit code 75, and the next start goes on.
TEST(ResumeByItself, AfterSigterm) {
    const Subject subject = {"lora", "llama_gqa", "lora", "ref", "fp64", {"--schedule.type", "constant", "--checkpoint.every", "7"}};
    const Scratch output;
    const auto endless = training_command(subject, output / "stopped") + Arguments{"--training.max_steps", "1000000"};
    const auto stopped = run_program(endless, {.seconds = 4});
    EXPECT_EQ(stopped.code, 75) << stopped.out << stopped.err;
    const auto done = static_cast<int>(read_steps(output / "stopped").size());
    ASSERT_GT(done, 0) << stopped.command << stopped.out << stopped.err;
    const Arguments to_the_end = {"--training.max_steps", std::to_string(done + 2)};
    const auto got = train(subject, kOne, output / "stopped", to_the_end);
    const auto want = train(subject, kOne, output / "straight", to_the_end);
    ASSERT_EQ(want.steps.size(), static_cast<std::size_t>(done + 2));
    expect_identical(got, want);
}

}  // namespace
}  // namespace tandem::test
