// What the tests of training SmolLM2-135M-Instruct share: the imported model, an adapter to start from, and steps split in some way.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <memory>

#include "kernels/base/philox.h"
#include "tests/golden/smollm2_file.h"
#include "tests/support/figures.h"
#include "tests/support/host_tensors.h"
#include "tests/support/program.h"

namespace tandem::test {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kLoss = 1e-4;        ///< relative, of fixed sequences
constexpr double kStepLoss = 1e-3;    ///< relative, of training steps, and of their gradient norms
constexpr double kLayoutLoss = 1e-5;  ///< relative, of training steps on one rank and on several

inline fs::path folder() { return smollm2_folder(); }
inline json expected() { return json::parse(read_text(folder() / "expected.json")); }

/// Element i of the factor `name`: splitmix64 of (FNV-1a of the name, i), its upper 24 bits mapped to [-bound, bound); see
/// oracle/adapters.py.
inline HostTensor factor(const std::string& name, std::int64_t rows, std::int64_t columns, double bound) {
    HostTensor tensor{{rows, columns}, {}};
    const std::uint64_t key = hash_name(name);
    for (std::uint64_t i = 1; i <= static_cast<std::uint64_t>(rows * columns); ++i) {
        std::uint64_t z = key + i * 0x9E3779B97F4A7C15U;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        z ^= z >> 31U;
        tensor.values.push_back((static_cast<double>(z >> 40U) * 0x1p-23 - 1.0) * bound);
    }
    return tensor;
}

/// A PEFT adapter whose factors have the names and shapes of `like`.
inline HostTensors write_adapter(const fs::path& directory, const HostTensors& like) {
    const auto lora = expected().at("lora");
    HostTensors factors;
    for (const auto& [name, tensor] : like) {
        const bool first = name.find("lora_A") != std::string::npos;
        // PEFT's in-memory names, which the formula is keyed by, are the file's.
        factors[name] = factor(name, tensor.shape[0], tensor.shape[1], lora.at(first ? "bound_a" : "bound_b"));
    }
    fs::create_directories(directory);
    write_safetensors(directory / "adapter_model.safetensors", factors);
    const json config = {{"peft_type", "LORA"},
                         {"task_type", "CAUSAL_LM"},
                         {"r", lora.at("r")},
                         {"lora_alpha", lora.at("alpha")},
                         {"lora_dropout", 0.0},
                         {"bias", "none"},
                         {"base_model_name_or_path", "SmolLM2-135M-Instruct"},
                         {"target_modules", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}}};
    std::ofstream(directory / "adapter_config.json") << config.dump(2) << "\n";
    return factors;
}

class SmolLM2 : public testing::Test {
protected:
    static void SetUpTestSuite() {
        const auto gguf = find_smollm2();
        if (!gguf) return;
        scratch_ = std::make_unique<Scratch>();
        losses_.clear();
        run_well({"import", gguf->string(), model()});
        update_ = read_safetensors(folder() / "update.safetensors");
        before_ = write_adapter(adapter(), update_);
    }
    static void TearDownTestSuite() { scratch_.reset(); }

    void SetUp() override {
        if (!scratch_) GTEST_SKIP() << kSmolLM2Missing;
    }

    static std::string model() { return *scratch_ / "model"; }
    static std::string adapter() { return *scratch_ / "adapter"; }
    static std::string output(int ranks, int rows = 0) { return *scratch_ / ("run" + std::to_string(ranks) + "of" + std::to_string(rows)); }

    static Finished evaluate(const Arguments& more) {
        const auto config = (source_directory() / "tests/golden/golden.ini").string();
        return run_well(Arguments{"eval", config, "--json", "--model.path", model(), "--model.dtype", "fp32", "--data.validation",
                                  (folder() / "eval.jsonl").string(), "--data.max_seq_length", "1024", "--output.dir", *scratch_ / "eval",
                                  "--device.threads", "2"} +
                            more,
                        {.threads = 2, .seconds = 300});
    }
    static void check_loss(const Arguments& more, double want) {
        const auto run = evaluate(more);
        if (run.code != 0) return;
        const double got = json::parse(run.out).at("eval_loss");
        EXPECT_LE(relative_difference("eval_loss", got, want), kLoss) << got << " " << want;
    }

    /// Five steps (of so many rows, where given) from the adapter, split as `layout` says over as many ranks, into output(ranks, rows). The
    /// steps of the log.
    static std::vector<json> five_steps(const Arguments& layout, int ranks, int rows = 0) {
        const auto want = expected();
        const auto config = (source_directory() / "tests/golden/golden.ini").string();
        const Launch launch{.ranks = ranks > 1 ? ranks : 0, .threads = ranks > 1 ? 1 : 2, .seconds = 600};
        const auto run = run_well(Arguments{"train", config, "--model.path", model(), "--model.dtype", "fp32", "--lora.adapter", adapter(),
                                            "--data.train", (folder() / "train.jsonl").string(), "--data.max_seq_length", "256",
                                            "--output.dir", output(ranks, rows), "--device.threads", std::to_string(launch.threads),
                                            "--training.global_batch_size", rows > 0 ? std::to_string(rows) : want.at("batch").dump()} +
                                      as_options(want.at("options")) + layout,
                                  launch);
        return run.code == 0 ? read_steps(output(ranks, rows)) : std::vector<json>();
    }
    /// As peft's, and, where one rank has run as well, nearer to its losses than to peft's.
    static void expect_steps(const std::vector<json>& steps, const json& want, int ranks) {
        ASSERT_EQ(steps.size(), want.size());
        for (std::size_t i = 0; i < steps.size(); ++i) {
            const double loss = steps[i].at("loss"), reference = want[i].at("loss");
            EXPECT_LE(relative_difference("loss of a step", loss, reference), kStepLoss) << "step " << i + 1;
            EXPECT_LE(relative_difference("grad_norm of a step", steps[i].at("grad_norm"), want[i].at("grad_norm")), kStepLoss)
                << "step " << i + 1;
            EXPECT_EQ(steps[i].at("trained_tokens"), want[i].at("trained_tokens"));
            EXPECT_EQ(steps[i].at("tokens"), want[i].at("tokens"));
            losses_[ranks].push_back(loss);
        }
        expect_as_one_rank(steps, losses_[1]);
    }
    static void expect_as_one_rank(const std::vector<json>& steps, const std::vector<double>& one) {
        for (std::size_t i = 0; i < one.size(); ++i)
            EXPECT_LE(relative_difference("loss of a step, one rank and several", steps.at(i).at("loss"), one[i]), kLayoutLoss);
    }

    static inline std::unique_ptr<Scratch> scratch_;
    static inline HostTensors before_, update_;
    static inline std::map<int, std::vector<double>> losses_;  ///< of each step, by the number of ranks
};

}  // namespace tandem::test
