// The main of a program that a test starts on several ranks and judges from outside.
#pragma once

#include <functional>
#include <string>

#include "parallel/runtime.h"

namespace tandem::test {

/// PROGRAM HOW: `work` with that word, on every rank, ended as the program itself ends.
inline int child_job(int argc, char** argv, const std::function<int(Runtime&, const std::string&)>& work) {
    const std::string how = argc > 1 ? argv[1] : "";
    try {
        Runtime runtime;
        return run_ranks(runtime, [&] { return work(runtime, how); });
    } catch (const std::exception& error) {
        return report_start_failure(error);
    }
}

}  // namespace tandem::test
