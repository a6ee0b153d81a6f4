// The watchdog of a subcommand.
#pragma once

#include <optional>
#include <string>

#include "kernels/base/error.h"

namespace tandem {

class Runtime;

/// output.dir/failure.json: the cause of a failure where launch/tandem and schedulers find it.
struct FailureRecord {
    int code = static_cast<int>(Failure::Run);
    std::string message;
    int rank = 0;
    std::string host;
};

/// Nothing where the directory is not there, or cannot be written: the message on the terminal remains.
void write_failure(const std::string& output_directory, const FailureRecord& record);

/// From now on ranks that stall end the job; with an output directory, failure.json says so. Collective, once.
void watch(Runtime& runtime, const std::optional<double>& deadline, const std::string& output_directory = "");

}  // namespace tandem
