// The one exception type of tandem, and the exit code that each kind of failure ends the program with.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace tandem {

/// What went wrong, in the terms of the program's exit codes (the value is the exit code).
enum class Failure : int {
    Run = 1,            ///< something failed while running: disk full, a rank lost, a broken invariant
    Configuration = 2,  ///< what was typed: options, keys, values, paths that do not exist
    Input = 3,          ///< what is inside a file that was found: model, tokenizer, data, checkpoint
    OutOfMemory = 4,    ///< planned or met
    Diverged = 5,       ///< non-finite loss or gradients
    Stopped = 75,       ///< stopped on request after saving
};

/// Visible by name in every shared object, so that one thrown in a backend of its own file is caught in the program.
class [[gnu::visibility("default")]] Error : public std::runtime_error {
public:
    Error(Failure failure, const std::string& message) : std::runtime_error(message), failure_(failure) {}
    [[nodiscard]] Failure failure() const noexcept { return failure_; }

private:
    Failure failure_;
};

/// Throws Error{failure} with an fmt-formatted message.
template <class... Args>
[[noreturn]] void fail(Failure failure, fmt::format_string<Args...> format, Args&&... args) {
    throw Error(failure, fmt::format(format, std::forward<Args>(args)...));
}

/// An invariant of the program itself; the message names operands, so that a report is enough to find the cause.
template <class... Args>
void require(bool holds, fmt::format_string<Args...> format, Args&&... args) {
    if (!holds) throw Error(Failure::Run, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace tandem
