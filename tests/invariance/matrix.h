// The ways to split a run that must all give the same result: every combination, or a few that hold every pair of settings.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tandem::test {

enum class Precision : std::uint8_t { Fp32, Fp64, Bf16 };  ///< fp64 on ref, the others on MatrixSubject::backend

/// In qlora blocks of four-bit codes go over the ends of rows and of boxes, and their scales are quantised as well.
enum class MatrixMethod : std::uint8_t { Lora, Full, QLora };

/// What decides the result.
struct MatrixSubject {
    MatrixMethod method = MatrixMethod::Lora;
    bool tied = false;    ///< head and embedding are one tensor
    bool packed = false;  ///< several samples a row
    bool sgd = false;     ///< else AdamW
    Precision precision = Precision::Fp32;
    int batch = 8;                ///< rows of a step
    std::string backend = "cpu";  ///< of fp32 and bf16
    friend auto operator<=>(const MatrixSubject&, const MatrixSubject&) = default;
};

/// What must not change it.
struct MatrixLayout {
    int data = 1, tensor = 1, pipeline = 1;
    int zero = 0;
    std::string schedule = "1f1b";  ///< "interleaved" has two chunks a rank
    int micro_batch = 1;
    bool recompute = false;
    bool by_hand = false;  ///< parallel.layers gives an uneven division of five layers, else auto
    [[nodiscard]] int ranks() const { return data * tensor * pipeline; }
};

struct MatrixCase {
    MatrixSubject subject;
    MatrixLayout layout;
};

[[nodiscard]] const char* precision_name(Precision precision);
[[nodiscard]] const char* method_name(MatrixMethod method);
[[nodiscard]] std::string name(const MatrixSubject& subject);
[[nodiscard]] std::string name(const MatrixLayout& layout);
/// Words for the command line of `tandem train`.
[[nodiscard]] std::vector<std::string> options(const MatrixSubject& subject);
[[nodiscard]] std::vector<std::string> options(const MatrixLayout& layout);

inline constexpr int kMatrixLayers = 5;  ///< of the models

/// Every combination that the models allow on at most `ranks` ranks. Each has one optimizer, one precision and one division of the
/// layers, drawn for it: those do not multiply.
[[nodiscard]] std::vector<MatrixCase> whole_matrix(int ranks);
/// A few cases in bf16, of which less is expected.
[[nodiscard]] std::vector<MatrixCase> spot_checks(int ranks);
/// A part of `cases` in which every pair of values of two settings occurs that occurs in `cases`. Deterministic; greedy.
[[nodiscard]] std::vector<MatrixCase> pairwise(const std::vector<MatrixCase>& cases);

}  // namespace tandem::test
