// What a machine with a GPU is measured and planned to be: `doctor`, `plan` without a hardware file, and `bench`, on the emulated one.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "src/plan/hardware.h"
#include "tests/support/program.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kCard = std::uint64_t{8} << 30U;  ///< bytes of the emulated GPU

class EmulatedMachine : public testing::Test {
protected:
    EmulatedMachine() {
        std::ofstream(scratch_ / "run.ini") << "[data]\nmax_seq_length = 16\n[training]\nglobal_batch_size = 2\n[device]\nbackend = cuda\n";
    }
    static Finished emulated(const Arguments& words, int ranks = 0) {
        return run_program(words, {.ranks = ranks, .program = TANDEM_EMULATED});
    }
    /// One JSON object on stdout, with that exit code.
    static json answer(const Arguments& words, int code = 0) {
        const Finished run = emulated(words + Arguments{"--json"});
        EXPECT_EQ(run.code, code) << run.command << "\n" << run.out << run.err;
        return json::parse(run.out, nullptr, false);
    }
    [[nodiscard]] Arguments words(const std::string& command, const fs::path& model) const {
        return {command, scratch_ / "run.ini", "--model.path", model.string(), "--model.init", "random"};
    }
    static fs::path tiny() { return source_directory() / "tests/golden/models/llama_gqa"; }

    Scratch scratch_;
};

/// Every number under `value` is one (JSON has none for NaN and infinity), and above zero unless its key is among `may_be_zero`.
void expect_numbers(const json& value, const std::string& path, const std::vector<std::string>& may_be_zero = {}) {
    EXPECT_FALSE(value.is_null()) << path;
    for (const auto& [key, inner] : value.items()) {
        if (inner.is_structured()) {
            expect_numbers(inner, path + "." + key, may_be_zero);
        } else if (inner.is_number()) {
            const bool zero = std::find(may_be_zero.begin(), may_be_zero.end(), key) != may_be_zero.end();
            EXPECT_TRUE(zero ? inner.get<double>() >= 0 : inner.get<double>() > 0) << path << "." << key << " is " << inner;
        } else {
            EXPECT_FALSE(inner.is_null()) << path << "." << key;
        }
    }
}

/// A measured rate: near what a host can do, and a number.
void expect_rate(double got, const char* what) { EXPECT_TRUE(std::isfinite(got) && got > 1e-6 && got < 1e4) << what << " is " << got; }

}  // namespace

TEST_F(EmulatedMachine, DoctorFindsTheCardAndWritesWhatPlanReads) {
    const std::string file = scratch_ / "here.ini";
    const json facts = answer({"doctor", "--hardware", file});
    ASSERT_TRUE(facts.is_object());
    EXPECT_EQ(facts.at("cuda").at("usable"), true) << facts.at("cuda");
    ASSERT_EQ(facts.at("cuda").at("devices").size(), 1U);
    EXPECT_EQ(facts.at("cuda").at("devices")[0].at("name"), "emulated GPU");
    EXPECT_EQ(facts.at("cuda").at("devices")[0].at("memory_bytes"), kCard);

    const Hardware hardware = load_hardware(file);
    ASSERT_EQ(hardware.ranks(), 1);
    const Gpu& gpu = hardware.gpus.front();
    EXPECT_EQ(gpu.name, "emulated GPU");
    EXPECT_EQ(gpu.backend, "cuda");
    EXPECT_EQ(gpu.memory, kCard);
    expect_rate(gpu.bf16_tflops, "bf16_tflops");
    expect_rate(gpu.fp32_tflops.value_or(0), "fp32_tflops");
    expect_rate(gpu.memory_bandwidth, "memory_bandwidth");
    expect_rate(hardware.link_bandwidth, "link_bandwidth");
    EXPECT_FALSE(hardware.p2p);

    const json planned = answer(words("plan", tiny()) + Arguments{"--hardware", file});
    EXPECT_EQ(planned.at("ranks")[0].at("capacity_bytes"), kCard);
    EXPECT_EQ(planned.at("fits"), true);
}

TEST_F(EmulatedMachine, DoctorSharesTheCardAmongItsRanks) {
    const std::string file = scratch_ / "here.ini";
    const Finished run = emulated({"doctor", "--hardware", file}, 2);
    ASSERT_EQ(run.code, 0) << run.out << run.err;
    EXPECT_NE(run.out.find("GPU 0: emulated GPU (sm_80), 8.0 of 8.0 GiB free, 4 multiprocessors"), std::string::npos) << run.out;
    const Hardware hardware = load_hardware(file);
    ASSERT_EQ(hardware.ranks(), 2);
    for (const Gpu& gpu : hardware.gpus) {
        EXPECT_EQ(gpu.name, "1/2 of emulated GPU");
        EXPECT_EQ(gpu.memory, kCard / 2);
    }
}

TEST_F(EmulatedMachine, PlanKnowsWhatFitsTheCard) {
    const json one = answer(words("plan", tiny()));
    ASSERT_TRUE(one.is_object());
    EXPECT_EQ(one.at("fits"), true);
    EXPECT_EQ(one.at("ranks")[0].at("capacity_bytes"), kCard);
    EXPECT_GT(one.at("context_bytes"), 0);
    expect_numbers(one, "plan",
                   {"rank", "count", "data", "tensor", "pipeline", "zero", "host_bytes", "quantization", "communication", "recompute",
                    "bubble", "offload", "host", "workspace"});

    // What is planned is what a run takes: the same figure, by the run's own account.
    const Arguments training = words("train", tiny()) + Arguments{"--data.train",         (tiny() / "data.jsonl").string(),
                                                                  "--data.format",        "tokenized",
                                                                  "--training.max_steps", "1",
                                                                  "--output.dir",         scratch_ / "run"};
    EXPECT_EQ(emulated(training).code, 0);
    EXPECT_LE(read_steps(scratch_.path() / "run").at(0).at("memory_peak_bytes"), one.at("peak_bytes"));

    const json two = answer(words("plan", tiny()) + Arguments{"--ranks", "2"});
    EXPECT_EQ(two.at("ranks")[0].at("capacity_bytes"), kCard / 2);

    const Arguments large = words("plan", source_directory() / "configs/models/llama-2-7b") + Arguments{"--method.type", "full"};
    const json seven = answer(large, 4);
    EXPECT_EQ(seven.at("fits"), false);
    EXPECT_GT(seven.at("peak_bytes"), kCard);
    EXPECT_GT(seven.at("suggestions").size(), 0U);
    const json limited = answer(words("plan", tiny()) + Arguments{"--device.memory_limit", "100kB"}, 4);
    EXPECT_EQ(limited.at("ranks")[0].at("capacity_bytes"), 100000);
}

TEST_F(EmulatedMachine, BenchMeasuresEveryOp) {
    for (const char* dtype : {"bf16", "fp32"}) {
        const Arguments bench = words("bench", tiny()) + Arguments{"--model.dtype", dtype, "--steps", "1"};
        const json profile = answer(bench);
        ASSERT_TRUE(profile.is_object());
        EXPECT_NE(profile.at("device").get<std::string>().find("emulated GPU"), std::string::npos) << profile.at("device");
        EXPECT_EQ(profile.at("tokens_per_step"), 32);
        expect_numbers(profile, "bench", {"flops", "bytes", "share_of_limit"});
        std::vector<std::string> ops;
        for (const json& op : profile.at("ops")) {
            ops.push_back(op.at("op"));
            if (op.at("op") == "clip_scale") continue;  // three numbers
            EXPECT_GT(op.at("bytes"), 0) << op;
            EXPECT_GT(op.at("share_of_limit"), 0) << op;
        }
        for (const char* op : {"attention", "attention_backward", "rmsnorm", "cross_entropy", "adamw"})
            EXPECT_NE(std::find(ops.begin(), ops.end(), op), ops.end()) << op;
        expect_rate(profile.at("matmul_tflops"), "matmul_tflops");
        expect_rate(profile.at("memory_gb_s"), "memory_gb_s");
        const double useful = profile.at("tokens_per_second").get<double>() * profile.at("flops_per_token").get<double>();
        EXPECT_GT(useful, 0);
        EXPECT_NEAR(profile.at("mfu"), useful / (profile.at("matmul_tflops").get<double>() * 1e12), 1e-9);
    }
    const Finished text = emulated(words("bench", tiny()) + Arguments{"--steps", "1"});
    EXPECT_EQ(text.code, 0) << text.err;
    for (const char* wrong : {"nan", "inf ", "-inf"}) EXPECT_EQ(text.out.find(wrong), std::string::npos) << text.out;
    EXPECT_EQ(emulated(words("bench", tiny()) + Arguments{"--device.memory_limit", "100kB"}).code, 4);
}

}  // namespace tandem::test
