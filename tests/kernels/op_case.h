// The one harness of all ops: a case is a row of data (operands, how to call the op forward and backward), and a CaseRun is that
// case on one backend in one compute type. Gradient checks, conformance of backends and determinism all walk op_cases().
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/backend.h"

namespace tandem::test {

/// The type of an operand, given the compute type of a run.
enum class Kind : std::uint8_t { Compute, Accumulation, Float64, Float32, Int32, Int64, UInt8 };

/// Element i of an operand; `word` is uniformly random, a function of (case, operand, i) alone.
using Fill = std::function<double(std::int64_t i, std::uint64_t word)>;
Fill normal(double standard_deviation = 1.0, double mean = 0.0);  ///< the default: standard normal
Fill uniform(double low, double high);
Fill below(std::int64_t end);  ///< integers in [0, end)
Fill values(std::vector<double> v);
Fill constant(double value);
Fill poison();  ///< NaN: for what an op overwrites

/// One tensor of a case. Memory between its rows holds a known pattern.
struct OperandSpec {
    std::string name;
    Shape shape;
    Kind kind = Kind::Compute;
    Fill fill = normal();
    std::int64_t padding = 0;  ///< elements between the end of a row and the next
};

/// An input or gradient of the compute type, standard normal.
OperandSpec input(std::string name, Shape shape, std::int64_t padding = 0);
/// What an op overwrites.
OperandSpec output(std::string name, Shape shape, std::int64_t padding = 0, Kind kind = Kind::Compute);
/// What an op adds to, in the accumulation type; standard normal before.
OperandSpec accumulator(std::string name, Shape shape);

/// The tensors of a run, by name.
using Operands = std::map<std::string, Tensor, std::less<>>;
using Call = std::function<void(Context&, const Operands&)>;

struct OpCase {
    std::string op;    ///< as in tests/support/tolerance.h
    std::string name;  ///< unique; letters, digits and underscores
    std::vector<OperandSpec> operands;
    Call forward;
    /// Runs after forward. Reads `d<y>` for every y of outputs (1 where there is no such operand), writes or adds to `d<x>`.
    Call backward = nullptr;
    std::vector<std::string> outputs = {};      ///< y of forward
    std::vector<std::string> inputs = {};       ///< x whose gradient is in `d<x>` after backward: checked by finite differences
    std::vector<std::string> accumulates = {};  ///< those x for which backward adds to `d<x>`
};

/// Every op, in every mode, at sizes that leave tails everywhere. Adding an op = adding rows to one of the tables below.
const std::vector<OpCase>& op_cases();
std::vector<OpCase> elementwise_cases();  ///< and bias, embedding, dropout
std::vector<OpCase> matmul_cases();       ///< and a linear layer with LoRA
std::vector<OpCase> layer_cases();        ///< rmsnorm, rope, glu, cross_entropy
std::vector<OpCase> attention_cases();
std::vector<OpCase> optimizer_cases();
std::vector<OpCase> quantization_cases();

/// A case on a backend: operands allocated and filled (values rounded to their types), ready to run. The case must outlive it.
class CaseRun {
public:
    CaseRun(Backend& backend, const OpCase& op_case, DType compute);

    void reset();  ///< every operand as after construction
    void forward() { op_case_.forward(context_, operands_); }
    void backward() {
        if (op_case_.backward) op_case_.backward(context_, operands_);
    }

    [[nodiscard]] const Operands& operands() const { return operands_; }
    Context& context() { return context_; }
    [[nodiscard]] std::vector<double> get(std::string_view name);
    void set(std::string_view name, const std::vector<double>& values);
    /// An operand with its padding, for bit comparisons.
    [[nodiscard]] std::vector<std::byte> bytes(std::string_view name);
    /// The first operand whose padding was written to; empty if there is none.
    [[nodiscard]] std::string touched_padding();
    [[nodiscard]] std::size_t workspace_used() const { return workspace_.used(); }
    [[nodiscard]] std::size_t workspace_peak() const { return workspace_.peak(); }

private:
    const OpCase& op_case_;
    Backend& backend_;
    Arena memory_;
    Arena workspace_;
    std::unique_ptr<Stream> stream_;
    Context context_;
    Operands storage_;   ///< flat, including padding
    Operands operands_;  ///< the views that ops see
    std::map<std::string, std::vector<std::byte>, std::less<>> initial_;
};

/// Numbers as an element type holds them (rounded to nearest), and back.
std::vector<std::byte> encode(const std::vector<double>& numbers, DType dtype);
std::vector<double> decode(const std::vector<std::byte>& bytes, DType dtype);

}  // namespace tandem::test
