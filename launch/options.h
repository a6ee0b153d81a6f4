// The command line of one subcommand: what it may hold is said once, and parsing, --help and the errors follow from it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/dtype.h"
#include "launch/command.h"
#include "src/config/load.h"

namespace boost::program_options {
class options_description;
template <class Char>
class basic_parsed_options;
}  // namespace boost::program_options

namespace tandem {

class Runtime;

/// Writes to stdout on rank 0, the only one that writes to the terminal, and flushes. Throws Run where it cannot be written.
void print_once(const Runtime& runtime, std::string_view text);
/// "tandem: warning: TEXT" on stderr. One rank's work.
void warn(std::string_view text);

/// Names in full, each at most once, `--name value` or `--name=value`; `--` ends the options. Anything else throws Configuration
/// with what was found, what is expected and, for a slip of the keys, what may have been meant.
class CommandLine {
public:
    CommandLine(const Command& command, const Runtime& runtime);

    /// `name` without dashes. The target keeps its value, the default shown in --help, where the option is not given.
    CommandLine& flag(std::string name, bool& target, std::string help);
    CommandLine& option(std::string name, std::string& target, std::string help);
    CommandLine& option(std::string name, std::optional<std::string>& target, std::string help);
    CommandLine& option(std::string name, std::int64_t& target, std::int64_t least, std::string help);
    CommandLine& option(std::string name, std::uint64_t& target, std::string help);  ///< a seed: 0 to 2^64 - 1
    CommandLine& option(std::string name, double& target, double least, double most, std::string help);
    /// Bytes with a unit, or `absent`, the default.
    CommandLine& bytes(std::string name, std::optional<std::uint64_t>& target, const std::string& absent, std::string help);
    /// "90", "2min"; absent where it is not given or `auto`.
    CommandLine& seconds(std::string name, std::optional<double>& target, std::string help);
    /// One of `words`.
    CommandLine& choice(std::string name, std::string& target, std::vector<std::string> words, std::string help);
    /// One of `types` by its name.
    CommandLine& choice(std::string name, DType& target, const std::vector<DType>& types, std::string help);
    /// A word without dashes that must be there, in the order of declaration.
    CommandLine& argument(std::string name, std::string& target, std::string help);
    /// The option declared last must be given.
    CommandLine& required();
    /// Takes every configuration key as `--section.key value`, in the order given; also --help-markdown.
    CommandLine& configuration(std::vector<Override>& overrides);

    /// Assigns the targets. False: --help (or --help-markdown) was asked for and printed, and there is nothing more to do.
    [[nodiscard]] bool parse(const std::vector<std::string>& words);

    /// Was the option given?
    [[nodiscard]] bool given(std::string_view name) const;
    /// What --help prints.
    [[nodiscard]] std::string help() const;

private:
    struct Entry {
        std::string name;
        std::string values;  ///< "a whole number, at least 1"; empty for flags
        std::string shown_default;
        std::string help;
        std::function<void(std::string_view)> set;  ///< throws BadValue
        bool required = false;
        bool seen = false;
    };
    CommandLine& add(std::string name, std::string values, std::string shown_default, std::string help,
                     std::function<void(std::string_view)> set);
    void assign(const std::string& name, const std::string& value);
    void assign_arguments(const std::vector<std::string>& words);
    void check_complete() const;
    [[nodiscard]] std::vector<std::string> own_names() const;
    [[nodiscard]] bool is_known(std::string_view name) const;
    [[noreturn]] void unknown(const std::string& word) const;
    [[noreturn]] void no_value(const std::string& name) const;
    [[nodiscard]] boost::program_options::options_description described() const;
    [[nodiscard]] boost::program_options::basic_parsed_options<char> split(const std::vector<std::string>& words) const;

    const Command& command_;
    const Runtime& runtime_;
    std::vector<Entry> options_;
    std::vector<Entry> arguments_;
    std::vector<Override>* overrides_ = nullptr;
};

}  // namespace tandem
