// Three steps of full fine-tuning of SmolLM2-135M-Instruct against transformers and torch.optim.AdamW (make_smollm2_full.py), and the
// same on two ranks. The reference holds each tensor's update in a few numbers, see oracle/projections.py.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "kernels/base/philox.h"
#include "src/io/safetensors.h"
#include "tests/golden/smollm2_file.h"
#include "tests/support/figures.h"

namespace tandem::test {
namespace {

using nlohmann::json;

constexpr double kLoss = 1e-3;                                           ///< relative, of losses and gradient norms against torch
constexpr double kUpdate = 0.02;                                         ///< Frobenius, of the weights' change against torch's
constexpr double kRanks = 1e-5, kRanksNorm = 1e-4, kRanksUpdate = 1e-3;  ///< two ranks against one
/// An element of a tensor's update is at most its norm; single elements with tiny gradients are AdamW's noise.
constexpr double kSample = 0.1;  ///< of the tensor's root mean square

/// All of a tensor, widened.
std::vector<double> read(const SafetensorsModel& model, const std::string& name) {
    const auto& shape = model.at(name).shape;
    std::vector<double> values(static_cast<std::size_t>(shape.elements()));
    model.read_rows(name, 0, shape[0], DType::F64, values.data());
    return values;
}

/// splitmix64 of (FNV-1a of the name, i): one bit of it is the sign of element i in one sum.
std::uint64_t random_bits(std::uint64_t key, std::size_t i) {
    std::uint64_t z = key + (i + 1) * 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
}

std::vector<double> signed_sums(const std::string& name, const std::vector<double>& values, std::size_t count) {
    std::vector<double> sums(count, 0.0);
    const auto key = hash_name(name);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto bits = random_bits(key, i);
        for (std::size_t k = 0; k < count; ++k) sums[k] += ((bits >> k) & 1U) != 0 ? -values[i] : values[i];
    }
    return sums;
}

class SmolLM2Full : public testing::Test {
protected:
    void SetUp() override {
        if (!find_smollm2()) GTEST_SKIP() << kSmolLM2Missing;
        want_ = json::parse(read_text(smollm2_folder() / "full.json"));
        run_well({"import", find_smollm2()->string(), scratch_ / "base"});
        samples_ = scratch_ / "train.jsonl";
        std::ofstream samples(samples_);
        std::istringstream all(read_text(smollm2_folder() / "train.jsonl"));
        const auto count = want_.at("steps").size() * want_.at("batch").get<std::size_t>();
        std::string line;
        for (std::size_t i = 0; i < count && std::getline(all, line); ++i) samples << line << "\n";
    }

    /// Trains in `name`; its steps.
    std::vector<json> train(const std::string& name, int ranks) {
        const auto run = run_well(Arguments{"train",
                                            (source_directory() / "tests/golden/golden.ini").string(),
                                            "--method.type",
                                            "full",
                                            "--model.path",
                                            scratch_ / "base",
                                            "--model.dtype",
                                            "fp32",
                                            "--output.dtype",
                                            "fp32",
                                            "--data.train",
                                            samples_,
                                            "--data.max_seq_length",
                                            "256",
                                            "--output.dir",
                                            scratch_ / name,
                                            "--device.threads",
                                            ranks > 0 ? "1" : "2",
                                            "--training.global_batch_size",
                                            want_.at("batch").dump()} +
                                      as_options(want_.at("options")),
                                  {.ranks = ranks, .threads = ranks > 0 ? 1 : 2, .seconds = 900});
        // The weights remain; moments and masters are three times their size.
        std::filesystem::remove_all(scratch_.path() / name / "checkpoints");
        return run.code == 0 ? read_steps(scratch_.path() / name) : std::vector<json>();
    }

    static void expect_near(const char* kind, double got, double want, double bound, std::size_t step) {
        EXPECT_LE(relative_difference(kind, got, want), bound) << kind << " of step " << step + 1 << ": " << got << " " << want;
    }

    /// Whether the update of tensor `name` has the reference's norm, sums and samples; adds to the sums' squared distance.
    void check_update(const std::string& name, const std::vector<double>& update, double& squared_distance, double& squared_norm) const {
        const auto& want = want_.at("update").at(name);
        const auto want_sums = want.at("sums").get<std::vector<double>>();
        const auto sums = signed_sums(name, update, want_sums.size());
        double squared = 0;
        for (const double x : update) squared += x * x;
        const double norm = want.at("norm"), rms = norm / std::sqrt(static_cast<double>(update.size()));
        EXPECT_LE(relative_difference("norm of a tensor's update", std::sqrt(squared), norm), kUpdate) << name;
        for (std::size_t k = 0; k < sums.size(); ++k)
            squared_distance += (sums[k] - want_sums[k]) * (sums[k] - want_sums[k]) / static_cast<double>(sums.size());
        squared_norm += norm * norm;
        for (const auto& sample : want.at("samples")) {
            const double difference = std::abs(update.at(sample.at(0).get<std::size_t>()) - sample.at(1).get<double>());
            EXPECT_LE(note_figure("sampled element of the update, of the tensor's rms", difference / rms), kSample) << name << sample;
        }
    }

    Scratch scratch_;
    json want_;
    std::string samples_;
};

TEST_F(SmolLM2Full, ThreeSteps) {
    const auto one = train("one", 0), two = train("two", 2);
    const auto& steps = want_.at("steps");
    ASSERT_EQ(one.size(), steps.size());
    ASSERT_EQ(two.size(), steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
        expect_near("loss against torch", one[i].at("loss"), steps[i].at("loss"), kLoss, i);
        expect_near("grad_norm against torch", one[i].at("grad_norm"), steps[i].at("grad_norm"), kLoss, i);
        expect_near("loss, 2 ranks against 1", two[i].at("loss"), one[i].at("loss"), kRanks, i);
        expect_near("grad_norm, 2 ranks against 1", two[i].at("grad_norm"), one[i].at("grad_norm"), kRanksNorm, i);
        for (const char* key : {"tokens", "trained_tokens"}) EXPECT_EQ(one[i].at(key), steps[i].at(key)) << "step " << i + 1;
        EXPECT_NEAR(one[i].at("learning_rate"), steps[i].at("learning_rate"), 1e-12) << "step " << i + 1;
    }
    const SafetensorsModel base(scratch_ / "base"), after(scratch_ / "one/model"), after_two(scratch_ / "two/model");
    EXPECT_EQ(after.tensors().size(), want_.at("update").size());
    double distance = 0, norm = 0, between = 0;
    for (const auto& [name, entry] : base.tensors()) {
        auto update = read(after, name), other = read(after_two, name);
        const auto before = read(base, name);
        for (std::size_t i = 0; i < update.size(); ++i) {
            between += (update[i] - other[i]) * (update[i] - other[i]);
            update[i] -= before[i];
        }
        check_update(name, update, distance, norm);
    }
    EXPECT_LE(note_figure("update against torch (estimated)", std::sqrt(distance / norm)), kUpdate);
    EXPECT_LE(note_figure("update, 2 ranks against 1", std::sqrt(between / norm)), kRanksUpdate);
}

}  // namespace
}  // namespace tandem::test
