// One training run of the real program at tiny size, and what it must have in common with another one.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "tests/support/host_tensors.h"
#include "tests/support/program.h"

namespace tandem::test {

/// What is trained and how it computes: everything that decides the result.
struct Subject {
    std::string name;
    std::string model;   ///< of tests/golden/models
    std::string method;  ///< lora, qlora or full
    std::string backend, dtype;
    Arguments options;
    std::string learning_rate = "1e-3";
    friend std::ostream& operator<<(std::ostream& out, const Subject& subject) { return out << subject.name; }
};

/// How it is split: what must not change the result.
struct Layout {
    std::string name;
    int ranks = 0;  ///< 0: without a launcher
    Arguments options;
};

struct Trained {
    std::vector<nlohmann::json> steps;
    HostTensors weights, update;
};

/// Relative bounds of design section 5.
struct Bounds {
    double loss, grad_norm, update;
};
/// fp64: sums in another order, and what comes out is stored in fp32. fp32: likewise; AdamW's quotient m / sqrt(v) magnifies
/// the error of tiny gradients. bf16: a value on the edge between two bf16 numbers may fall on either side. Moments in eight bits:
/// likewise one on the edge between two codes; that moves few elements (measured: 6e-5 of the update in fp32).
Bounds bounds_of(const Subject& subject);

/// `tandem train` of `subject` split as `layout` says, into `output`. A run that fails fails the test and gives no steps.
Trained train(const Subject& subject, const Layout& layout, const std::string& output, const Arguments& more = {});
Arguments training_command(const Subject& subject, const std::string& output);
/// What a finished run left in `output`.
Trained read_trained(const Subject& subject, const std::string& output);

/// Losses, gradient norms and updates within the bounds; counts and learning rates equal.
void expect_alike(const Subject& subject, const Trained& got, const Trained& want, const Bounds& bounds);
inline void expect_alike(const Subject& subject, const Trained& got, const Trained& want) {
    expect_alike(subject, got, want, bounds_of(subject));
}
/// The same bits.
void expect_identical(const Trained& got, const Trained& want);

}  // namespace tandem::test
