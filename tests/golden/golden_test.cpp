// The real program on tiny models of every supported kind, against transformers, peft and torch.optim (make_golden.py).
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/base/error.h"
#include "tests/golden/golden_precisions.h"
#include "tests/support/figures.h"
#include "tests/support/host_tensors.h"

namespace tandem::test {
namespace {

using nlohmann::json;

/// A learning rate so large that weights after one step of SGD are the gradient, to the rounding of fp32.
constexpr double kGradientScale = 1e4;

class Golden : public testing::TestWithParam<std::tuple<std::string, Precision>> {
protected:
    void SetUp() override {
        const auto reason = why_no_golden_device();
        if (reason.empty()) return;
        if (!golden_device().program.empty()) FAIL() << reason;  // an emulated device is always there
        GTEST_SKIP() << reason;
    }
    [[nodiscard]] static Finished run(const Arguments& arguments) { return run_well(arguments, {.program = golden_device().program}); }
    [[nodiscard]] std::filesystem::path model() const { return source_directory() / "tests/golden/models" / std::get<0>(GetParam()); }
    [[nodiscard]] const Precision& precision() const { return std::get<1>(GetParam()); }
    [[nodiscard]] json expected() const { return json::parse(read_text(model() / "expected.json")); }
    [[nodiscard]] HostTensors reference(const std::string& prefix) const {
        return with_prefix(read_safetensors(model() / "reference.safetensors"), prefix);
    }
    [[nodiscard]] std::string data() const { return (model() / "data.jsonl").string(); }

    void expect_near(double got, double want, double bound, const std::string& kind, const std::string& at = "") const {
        EXPECT_LE(relative_difference(precision().name + " " + kind, got, want), bound) << at << " " << kind << ": " << got << " " << want;
    }

    /// `tandem SUBCOMMAND golden.ini` on this model with this precision, `more` last.
    [[nodiscard]] Arguments command(const std::string& subcommand, const Arguments& more) const {
        const auto config = (source_directory() / "tests/golden/golden.ini").string();
        return Arguments{subcommand, config, "--model.path", model().string()} + precision().options + more;
    }

    /// As many packed rows as hold a global batch of sequences.
    [[nodiscard]] static Arguments packed() { return {"--data.packing", "true", "--training.global_batch_size", "4"}; }

    /// Weights before (`adapter`, or the model itself) and after training with `options`, which `steps` the log shows.
    HostTensors train(bool adapter, const Arguments& options, std::vector<json>* steps) const {
        const Scratch output;
        Arguments method = {"--method.type", adapter ? "lora" : "full", "--data.train", data(), "--output.dir", output / "run"};
        method = method + (adapter ? Arguments{"--lora.adapter", (model() / "adapter").string()} : Arguments{"--output.dtype", "fp32"});
        if (run(command("train", method + options)).code != 0) return {};
        if (steps) *steps = read_steps(output / "run");
        return read_all_safetensors(output.path() / "run" / (adapter ? "adapter" : "model"));
    }

    [[nodiscard]] HostTensors before(bool adapter) const { return read_all_safetensors(adapter ? model() / "adapter" : model()); }

    void check_evaluation(const char* key, const Arguments& more) const {
        const Scratch output;
        const auto run =
            this->run(command("eval", Arguments{"--data.validation", data(), "--output.dir", output / "eval", "--json"} + more));
        if (run.code != 0) return;
        const auto result = json::parse(run.out), want = expected();
        expect_near(result.at("eval_loss"), want.at(key), precision().loss, "loss", key);
        EXPECT_EQ(result.at("tokens"), want.at("tokens"));
        EXPECT_EQ(result.at("trained_tokens"), want.at("trained_tokens"));
        expect_near(result.at("eval_perplexity"), std::exp(want.at(key).get<double>()), 20 * precision().loss, "perplexity");
    }

    void check_gradients(bool adapter) const {
        const Arguments sgd = {"--optimizer.name",          "sgd", "--optimizer.learning_rate", std::to_string(kGradientScale),
                               "--optimizer.max_grad_norm", "0",   "--schedule.type",           "constant",
                               "--training.max_steps",      "1"};
        const auto after = train(adapter, sgd, nullptr);
        if (after.empty()) return;
        const auto gradients = difference(before(adapter), after, 1.0 / kGradientScale);
        std::string worst;
        const double distance = worst_relative_distance(gradients, reference(adapter ? "lora.gradient." : "gradient."), worst);
        EXPECT_LE(note_figure(precision().name + " gradient of a tensor", distance), precision().gradient) << worst;
    }

    void check_trajectory(const std::string& name, const json& want, const Arguments& more) const {
        SCOPED_TRACE(name);
        const bool adapter = want.at("method") == "lora";
        std::vector<json> steps;
        const auto length = std::to_string(want.at("steps").size());
        // Five steps are one epoch, whose last batch is smaller: its length is found and not told.
        const auto end = adapter ? Arguments{} : Arguments{"--training.max_steps", length};
        const auto after = train(adapter, as_options(want.at("options")) + end + more, &steps);
        if (after.empty()) return;
        ASSERT_EQ(steps.size(), want.at("steps").size());
        for (std::size_t i = 0; i < steps.size(); ++i) {
            const auto &got = steps[i], &step = want.at("steps")[i];
            const auto at = name + " step " + std::to_string(i + 1);
            for (const auto* key : {"step", "tokens", "trained_tokens"}) EXPECT_EQ(got.at(key), step.at(key)) << at << " " << key;
            expect_near(got.at("loss"), step.at("loss"), precision().loss, "loss", at);
            expect_near(got.at("grad_norm"), step.at("grad_norm"), precision().grad_norm, "grad_norm", at);
            expect_near(got.at("learning_rate"), step.at("learning_rate"), 1e-12, "learning_rate", at);
        }
        const auto start = before(adapter);
        const double distance = relative_distance(difference(after, start), difference(reference(name + ".final."), start));
        EXPECT_LE(note_figure(precision().name + " update of the weights", distance), precision().update);
    }
};

TEST_P(Golden, EvaluationLoss) {
    check_evaluation("eval_loss", {"--method.type", "full"});
    check_evaluation("eval_loss", Arguments{"--method.type", "full"} + packed());
}

TEST_P(Golden, EvaluationLossWithAdapter) { check_evaluation("adapter_eval_loss", {"--lora.adapter", (model() / "adapter").string()}); }

TEST_P(Golden, GradientsOfEveryWeight) { check_gradients(false); }

TEST_P(Golden, GradientsOfTheAdapter) { check_gradients(true); }

TEST_P(Golden, TrainingSteps) {
    const auto trajectories = expected().at("trajectories");
    for (const auto& [name, want] : trajectories.items()) check_trajectory(name, want, {});
    check_trajectory("lora", trajectories.at("lora"), packed() + Arguments{"--training.micro_batch_size", "2"});
}

INSTANTIATE_TEST_SUITE_P(Models, Golden,
                         testing::Combine(testing::ValuesIn(golden_device().models), testing::ValuesIn(golden_device().precisions)),
                         [](const auto& test) { return std::get<0>(test.param) + "_" + std::get<1>(test.param).name; });

}  // namespace
}  // namespace tandem::test
