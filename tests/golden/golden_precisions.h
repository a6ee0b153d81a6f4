// How the golden runs compute. One of precisions_host.cpp and precisions_cuda.cpp is linked.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "tests/support/program.h"

namespace tandem::test {

/// How the program computes, and how near to the float64 references that must come (relative).
struct Precision {
    std::string name;
    Arguments options;
    double loss, grad_norm;  ///< of the log
    double gradient;         ///< of each tensor, Frobenius
    double update;           ///< of all weights, Frobenius
    friend std::ostream& operator<<(std::ostream& out, const Precision& precision) { return out << precision.name; }
};

struct GoldenDevice {
    std::vector<Precision> precisions;
    std::vector<std::string> models;  ///< of tests/golden/models
    std::string program;              ///< as Launch::program
};
[[nodiscard]] GoldenDevice golden_device();

/// Why golden runs cannot be made here; empty where they can.
[[nodiscard]] std::string why_no_golden_device();

}  // namespace tandem::test
