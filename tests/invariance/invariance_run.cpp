#include "tests/invariance/invariance_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "tests/support/figures.h"

namespace tandem::test {
namespace {

std::filesystem::path model_directory(const Subject& subject) { return source_directory() / "tests/golden/models" / subject.model; }

std::filesystem::path start_directory(const Subject& subject) {
    return subject.method != "full" ? model_directory(subject) / "adapter" : model_directory(subject);
}

bool has_option(const Subject& subject, const char* word) {
    return std::find(subject.options.begin(), subject.options.end(), word) != subject.options.end();
}
bool uses_sgd(const Subject& subject) { return has_option(subject, "sgd"); }
bool uses_eight_bit(const Subject& subject) { return has_option(subject, "adamw_8bit") || has_option(subject, "paged_adamw_8bit"); }

std::string optimizer_of(const Subject& subject) {
    if (uses_eight_bit(subject)) return "8-bit";
    return uses_sgd(subject) ? "sgd" : "adamw";
}

}  // namespace

Bounds bounds_of(const Subject& subject) {
    const bool sgd = uses_sgd(subject);
    if (subject.dtype == "fp64") return {1e-10, 1e-10, 1e-5};
    if (subject.dtype == "fp32") return {1e-5, 1e-4, sgd ? 1e-5 : 1e-3};
    return {2e-3, 1e-2, 0.05};
}

Arguments training_command(const Subject& subject, const std::string& output) {
    Arguments words = {"train", (source_directory() / "tests/golden/golden.ini").string()};
    words = words + Arguments{"--model.path",  model_directory(subject).string(),
                              "--data.train",  (model_directory(subject) / "data.jsonl").string(),
                              "--method.type", subject.method};
    words = words + Arguments{"--device.backend", subject.backend, "--model.dtype", subject.dtype, "--output.dir", output};
    words = words + Arguments{"--optimizer.learning_rate", subject.learning_rate, "--optimizer.eps", "1e-6"};
    if (subject.method != "full") return words + Arguments{"--lora.adapter", start_directory(subject).string()} + subject.options;
    return words + Arguments{"--output.dtype", "fp32"} + subject.options;
}

Trained read_trained(const Subject& subject, const std::string& output) {
    Trained result;
    result.steps = read_steps(output);
    result.weights = read_all_safetensors(std::filesystem::path(output) / (subject.method != "full" ? "adapter" : "model"));
    result.update = difference(result.weights, read_all_safetensors(start_directory(subject)));
    return result;
}

Trained train(const Subject& subject, const Layout& layout, const std::string& output, const Arguments& more) {
    const auto run = run_well(training_command(subject, output) + layout.options + more, {.ranks = layout.ranks});
    if (run.code != 0) return {};
    return read_trained(subject, output);
}

void expect_alike(const Subject& subject, const Trained& got, const Trained& want, const Bounds& bounds) {
    ASSERT_EQ(got.steps.size(), want.steps.size());
    for (std::size_t i = 0; i < want.steps.size(); ++i) {
        for (const auto* key : {"step", "tokens", "trained_tokens", "learning_rate"})
            EXPECT_EQ(got.steps[i].at(key), want.steps[i].at(key)) << key << " of step " << i + 1;
        for (const auto& [key, bound] : {std::pair{"loss", bounds.loss}, std::pair{"grad_norm", bounds.grad_norm}}) {
            const double a = got.steps[i].at(key), b = want.steps[i].at(key);
            EXPECT_LE(relative_difference(subject.dtype + (uses_eight_bit(subject) ? " 8-bit " : " ") + key, a, b), bound)
                << key << " of step " << i + 1 << ": " << a << " " << b;
        }
    }
    const double distance = relative_distance(got.update, want.update);
    EXPECT_LE(note_figure(subject.dtype + " " + optimizer_of(subject) + " update", distance), bounds.update) << "update of the weights";
}

void expect_identical(const Trained& got, const Trained& want) {
    ASSERT_EQ(got.steps.size(), want.steps.size());
    for (std::size_t i = 0; i < want.steps.size(); ++i) {
        for (const auto* key : {"step", "loss", "grad_norm", "learning_rate", "tokens", "trained_tokens"})
            EXPECT_EQ(got.steps[i].at(key), want.steps[i].at(key)) << key << " of step " << i + 1;
    }
    ASSERT_EQ(got.weights.size(), want.weights.size());
    for (const auto& [name, tensor] : want.weights) {
        ASSERT_TRUE(got.weights.contains(name)) << name;
        EXPECT_EQ(got.weights.at(name).values, tensor.values) << name;
    }
}

}  // namespace tandem::test
