// One case of the matrix, trained in this process by some of its ranks, and how far two results are apart.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "parallel/runtime.h"
#include "tests/invariance/matrix.h"
#include "tests/support/host_tensors.h"

namespace tandem::test {

struct MatrixResult {
    std::vector<nlohmann::json> steps, evaluations;  ///< of log.jsonl
    HostTensors weights;
};

/// Largest relative differences.
struct Deviation {
    double loss = 0, norm = 0, update = 0;
    bool other = false;  ///< counts, learning rates or names differ
};

/// What comes out is stored in fp32, even of fp64.
[[nodiscard]] Deviation bounds_of(const MatrixSubject& subject);
[[nodiscard]] bool within(const Deviation& found, const Deviation& bounds);
/// `start`: the weights before the first step; updates are compared relative to want's.
[[nodiscard]] Deviation compare(const MatrixResult& got, const MatrixResult& want, const HostTensors& start);

/// Where the cases run: the first layout.ranks() ranks of the world, on the models and data of a directory (tests/invariance/models).
struct MatrixPlace {
    Runtime& runtime;
    std::filesystem::path models;
};

/// Trains `subject` as `layout` splits it into `output`; `more` are further options. Collective over the world.
void train_case(const MatrixPlace& place, const MatrixSubject& subject, const MatrixLayout& layout, const std::string& output,
                const std::vector<std::string>& more = {});
[[nodiscard]] MatrixResult read_result(const MatrixSubject& subject, const std::string& output);

}  // namespace tandem::test
