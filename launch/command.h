// A subcommand of the program: one file launch/<name>.cpp that defines one Command, listed in launch/main.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tandem {

class Runtime;

struct Command {
    std::string_view name;     ///< "train"
    std::string_view usage;    ///< what follows the name: "CONFIG [--section.key value ...]"
    std::string_view summary;  ///< one line for the list of subcommands
    /// Gets the words after the subcommand; returns the exit code; throws Error. main.cpp makes the Runtime and calls this
    /// inside run_ranks(), so that a job has one message and one exit code; only rank 0 may write to the terminal.
    int (*run)(Runtime& runtime, const std::vector<std::string>& arguments);
};

extern const Command train_command, eval_command, plan_command, bench_command, prepare_command, tokenize_command, generate_command,
    import_command, quantize_command, merge_command, export_command, doctor_command;

}  // namespace tandem
