#include "tests/invariance/matrix_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <thread>

#include "src/config/load.h"
#include "src/train/trainer.h"
#include "tests/support/program.h"

namespace tandem::test {
namespace {

// 14 samples: the second of three steps ends the epoch with fewer rows (of 8, packed, with one), so that some ranks have none.
constexpr const char* kConfig = R"([model]
init = random
[data]
format = tokenized
shuffle = true
max_seq_length = 24
[evaluation]
max_samples = 5
[training]
max_steps = 3
[optimizer]
learning_rate = 3e-3
eps = 1e-6
weight_decay = 0.05
[lora]
r = 3
dropout = 0.1
[quantization]
block_size = 32
[output]
dtype = fp32
[device]
threads = 1
)";

RunConfig config_of(const std::filesystem::path& models, const MatrixSubject& subject, const MatrixLayout& layout,
                    const std::string& output, const std::vector<std::string>& more) {
    const std::string data = (models / "train.jsonl").string();
    std::vector<std::string> words = {"--model.path",      (models / (subject.tied ? "tied" : "untied")).string(),
                                      "--data.train",      data,
                                      "--data.validation", data,
                                      "--output.dir",      output};
    for (const auto& list : {options(subject), options(layout), more}) words.insert(words.end(), list.begin(), list.end());
    std::vector<Override> overrides;
    for (std::size_t i = 0; i + 1 < words.size(); i += 2) overrides.push_back({words[i].substr(2), words[i + 1]});
    return parse_run_config(kConfig, "matrix.ini", overrides, Purpose::Train);
}

double relative(double got, double want) { return std::abs(got - want) / std::max(std::abs(want), 1e-300); }

}  // namespace

Deviation bounds_of(const MatrixSubject& subject) {
    switch (subject.precision) {
        case Precision::Fp64: return {1e-10, 1e-10, 1e-5};
        case Precision::Fp32: return {1e-5, 1e-4, subject.sgd ? 1e-5 : 1e-3};
        // Only losses are promised. Rounded that coarsely, AdamW's first steps take another sign wherever a gradient is next to none.
        case Precision::Bf16: return {2e-3, 1e-2, 0.25};
    }
    return {};
}

bool within(const Deviation& found, const Deviation& bounds) {
    // Written so that a NaN is not within anything.
    return found.loss <= bounds.loss && found.norm <= bounds.norm && found.update <= bounds.update && !found.other;
}

Deviation compare(const MatrixResult& got, const MatrixResult& want, const HostTensors& start) {
    Deviation d;
    d.other = got.steps.size() != want.steps.size() || got.evaluations.size() != want.evaluations.size() ||
              got.weights.size() != want.weights.size();
    if (d.other) return d;
    for (std::size_t i = 0; i < want.steps.size(); ++i) {
        for (const char* key : {"step", "tokens", "trained_tokens", "learning_rate"}) {
            if (got.steps[i].at(key) != want.steps[i].at(key)) d.other = true;
        }
        const double loss = relative(got.steps[i].at("loss"), want.steps[i].at("loss"));
        const double gradient = relative(got.steps[i].at("grad_norm"), want.steps[i].at("grad_norm"));
        if (!(loss <= d.loss)) d.loss = loss;
        if (!(gradient <= d.norm)) d.norm = gradient;
    }
    for (std::size_t i = 0; i < want.evaluations.size(); ++i) {
        const double loss = relative(got.evaluations[i].at("eval_loss"), want.evaluations[i].at("eval_loss"));
        if (!(loss <= d.loss)) d.loss = loss;
    }
    d.update = relative_distance(difference(got.weights, start), difference(want.weights, start));
    return d;
}

void train_case(const MatrixPlace& place, const MatrixSubject& subject, const MatrixLayout& layout, const std::string& output,
                const std::vector<std::string>& more) {
    Runtime& runtime = place.runtime;
    const bool takes_part = runtime.rank() < layout.ranks();
    const auto world = runtime.world().split(takes_part ? 0 : 1, runtime.rank());
    const std::filesystem::path done = output + ".done";
    if (takes_part) {
        const RunConfig config = config_of(place.models, subject, layout, output, more);
        Trainer trainer(config, {*world, 1, world->size(), world->rank(), nullptr, runtime.hostname(), "test"});
        const int code = trainer.run();
        require(code == 0, "{}; {}: exit code {}", name(subject), name(layout), code);
        if (runtime.rank() == 0) std::ofstream(done).put('\n');
    }
    // A rank that waits in a barrier keeps a core busy, and those that train have few.
    while (!takes_part && !std::filesystem::exists(done)) std::this_thread::sleep_for(std::chrono::milliseconds(3));
    runtime.world().barrier();
    if (runtime.rank() == 0) std::filesystem::remove(done);
}

MatrixResult read_result(const MatrixSubject& subject, const std::string& output) {
    MatrixResult result{read_steps(output),
                        {},
                        read_all_safetensors(std::filesystem::path(output) / (subject.method == MatrixMethod::Full ? "model" : "adapter"))};
    for (const auto& entry : read_json_lines(std::filesystem::path(output) / "log.jsonl")) {
        if (entry.contains("eval_loss")) result.evaluations.push_back(entry);
    }
    return result;
}

}  // namespace tandem::test
