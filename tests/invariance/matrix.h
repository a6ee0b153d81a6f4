// The ways to split a run that must all give the same result: every combination, or a few that hold every pair of settings.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tandem::test {

/// What decides the result.
struct MatrixSubject {
    bool full = false;    ///< full fine-tuning, else LoRA
    bool tied = false;    ///< head and embedding are one tensor
    bool packed = false;  ///< several samples a row
    bool exact = false;   ///< fp64 on ref, else fp32 on cpu
    friend auto operator<=>(const MatrixSubject&, const MatrixSubject&) = default;
};

/// What must not change it.
struct MatrixLayout {
    int data = 1, tensor = 1, pipeline = 1;
    int zero = 0;
    std::string schedule = "1f1b";  ///< "interleaved" has two chunks a rank
    int micro_batch = 1;
    bool recompute = false;
    [[nodiscard]] int ranks() const { return data * tensor * pipeline; }
};

struct MatrixCase {
    MatrixSubject subject;
    MatrixLayout layout;
};

[[nodiscard]] std::string name(const MatrixSubject& subject);
[[nodiscard]] std::string name(const MatrixLayout& layout);
/// Words for the command line of `tandem train`.
[[nodiscard]] std::vector<std::string> options(const MatrixSubject& subject);
[[nodiscard]] std::vector<std::string> options(const MatrixLayout& layout);

/// Every combination that a model of `layers` layers allows on at most `ranks` ranks.
[[nodiscard]] std::vector<MatrixCase> whole_matrix(int ranks, int layers);
/// A part of `cases` in which every pair of values of two settings occurs that occurs in `cases`. Deterministic; greedy.
[[nodiscard]] std::vector<MatrixCase> pairwise(const std::vector<MatrixCase>& cases);

}  // namespace tandem::test
