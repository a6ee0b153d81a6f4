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
    std::function<std::string()> obstacle = [] { return ""; };  ///< why it cannot be tested on this machine; empty: it can
    std::string op = {};                                        ///< the only one in which it differs from another row; empty: all
};

std::vector<Candidate> candidates();

/// The reference, and of candidates() those for every op that can be tested here: for tests that know the bits to expect.
inline std::vector<Candidate> reference_and_candidates() {
    std::vector<Candidate> all{{"ref", make_ref_backend, {DType::F64, DType::F32, DType::BF16, DType::F16}}};
    for (auto& candidate : candidates())
        if (candidate.op.empty() && candidate.obstacle().empty()) all.push_back(std::move(candidate));
    return all;
}

}  // namespace tandem::test
