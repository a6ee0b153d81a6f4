// The backends that test_conformance.cpp holds against the reference; a program links one file that lists some.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/base/backend.h"

namespace tandem::test {

/// A backend under test. Adding one = adding a row.
struct Candidate {
    std::string name;
    std::function<std::unique_ptr<Backend>()> make;
    std::vector<DType> types;
    std::vector<std::string> ops = {};                          ///< OpCase::op of what it has; empty: everything
    std::function<std::string()> obstacle = [] { return ""; };  ///< why it cannot be tested on this machine; empty: it can
};

std::vector<Candidate> candidates();

}  // namespace tandem::test
