// The program: picks the subcommand, and turns every failure into one message and the exit code.
#include <algorithm>
#include <array>

#include "kernels/base/error.h"
#include "launch/command.h"
#include "launch/options.h"
#include "parallel/runtime.h"
#include "src/config/option_table.h"
#include "src/config/suggest.h"
#include "src/io/hdf5_file.h"

namespace tandem {
namespace {

constexpr std::array<const Command*, 12> kCommands = {&train_command,    &eval_command,     &plan_command,     &bench_command,
                                                      &prepare_command,  &tokenize_command, &generate_command, &import_command,
                                                      &quantize_command, &merge_command,    &export_command,   &doctor_command};

std::string overview() {
    std::string out =
        "tandem " TANDEM_VERSION ": fine-tunes language models on several processors at once\n\nusage: tandem SUBCOMMAND ...\n\n";
    for (const auto* command : kCommands) out += help_entry(std::string(command->name), std::string(command->summary));
    out += "\n`tandem SUBCOMMAND --help` says more. Several ranks: `launch/tandem -n RANKS SUBCOMMAND ...`, mpirun or srun.\n";
    return out;
}

int dispatch(Runtime& runtime, const std::vector<std::string>& words) {
    if (words.empty()) fail(Failure::Configuration, "a subcommand is missing; `tandem --help` lists them");
    const auto& first = words.front();
    if (first == "--help" || first == "-h" || first == "help") return print_once(runtime, overview()), 0;
    if (first == "--version") return print_once(runtime, "tandem " TANDEM_VERSION "\n"), 0;
    std::vector<std::string> names;
    for (const auto* command : kCommands) {
        if (command->name == first) return command->run(runtime, {words.begin() + 1, words.end()});
        names.emplace_back(command->name);
    }
    const char* what = first.starts_with('-') ? "option" : "subcommand";
    fail(Failure::Configuration, "unknown {} '{}'{} (`tandem --help` lists the subcommands)", what, first, did_you_mean(first, names));
}

int run_program(const std::vector<std::string>& words) {
    try {
        start_hdf5();
        Runtime runtime;
        return run_ranks(runtime, [&] { return dispatch(runtime, words); });
    } catch (const std::exception& error) {
        return report_start_failure(error);
    }
}

}  // namespace
}  // namespace tandem

int main(int argc, char** argv) { return tandem::run_program({argv + std::min(argc, 1), argv + argc}); }
