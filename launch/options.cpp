#include "launch/options.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "kernels/base/error.h"
#include "parallel/runtime.h"
#include "src/config/option_builder.h"

namespace tandem {

namespace po = boost::program_options;

void print_once(const Runtime& runtime, std::string_view text) {
    if (runtime.rank() != 0) return;
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    if (!written) fail(Failure::Run, "cannot write to standard output: {}", std::strerror(errno));
}

void warn(std::string_view text) { fmt::print(stderr, "tandem: warning: {}\n", text); }

CommandLine::CommandLine(const Command& command, const Runtime& runtime) : command_(command), runtime_(runtime) {}

CommandLine& CommandLine::add(std::string name, std::string values, std::string shown_default, std::string help,
                              std::function<void(std::string_view)> set) {
    options_.push_back({std::move(name), std::move(values), std::move(shown_default), std::move(help), std::move(set)});
    return *this;
}

CommandLine& CommandLine::flag(std::string name, bool& target, std::string help) {
    return add(std::move(name), "", "", std::move(help), [&target](std::string_view) { target = true; });
}

CommandLine& CommandLine::option(std::string name, std::string& target, std::string help) {
    return add(std::move(name), "text", target, std::move(help), [&target](std::string_view text) { target = text; });
}

CommandLine& CommandLine::option(std::string name, std::optional<std::string>& target, std::string help) {
    return add(std::move(name), "text", target.value_or(""), std::move(help), [&target](std::string_view text) { target = text; });
}

CommandLine& CommandLine::option(std::string name, std::int64_t& target, std::int64_t least, std::string help) {
    const auto range = at_least(static_cast<double>(least));
    return add(std::move(name), "a whole number, " + range.describe(), std::to_string(target), std::move(help),
               [&target, range](std::string_view text) { target = parse_integer(text, range); });
}

CommandLine& CommandLine::option(std::string name, std::uint64_t& target, std::string help) {
    return add(std::move(name), "a whole number from 0 to 2^64 - 1", std::to_string(target), std::move(help),
               [&target](std::string_view text) { target = parse_seed(text); });
}

CommandLine& CommandLine::option(std::string name, double& target, double least, double most, std::string help) {
    const Range range{least, most};
    return add(std::move(name), "a number, " + range.describe(), shortest(target), std::move(help),
               [&target, range](std::string_view text) { target = parse_real(text, range); });
}

CommandLine& CommandLine::bytes(std::string name, std::optional<std::uint64_t>& target, const std::string& absent, std::string help) {
    const std::string values = fmt::format("a number of bytes, such as 24GiB, or {}", absent);
    return add(std::move(name), values, absent, std::move(help),
               [&target, absent](std::string_view text) { target = text == absent ? std::optional<std::uint64_t>() : parse_bytes(text); });
}

CommandLine& CommandLine::seconds(std::string name, std::optional<double>& target, std::string help) {
    return add(std::move(name), "seconds, or auto", "auto", std::move(help),
               [&target](std::string_view text) { target = text == "auto" ? std::nullopt : std::optional(parse_seconds(text)); });
}

CommandLine& CommandLine::choice(std::string name, std::string& target, std::vector<std::string> words, std::string help) {
    auto values = enumerated(words);
    return add(std::move(name), values, target, std::move(help), [&target, words = std::move(words), values](std::string_view text) {
        if (std::find(words.begin(), words.end(), text) == words.end()) throw BadValue(values + did_you_mean(text, words));
        target = text;
    });
}

CommandLine& CommandLine::choice(std::string name, DType& target, const std::vector<DType>& types, std::string help) {
    Words<DType> words;
    for (const auto type : types) words.emplace_back(tandem::name(type), type);
    return add(std::move(name), enumerated(spellings(words)), std::string(tandem::name(target)), std::move(help),
               [&target, words](std::string_view text) { target = parse_word(text, words); });
}

CommandLine& CommandLine::argument(std::string name, std::string& target, std::string help) {
    arguments_.push_back({std::move(name), "", "", std::move(help), [&target](std::string_view text) { target = text; }, true});
    return *this;
}

CommandLine& CommandLine::required() {
    options_.back().required = true;
    return *this;
}

CommandLine& CommandLine::configuration(std::vector<Override>& overrides) {
    overrides_ = &overrides;
    return *this;
}

std::vector<std::string> CommandLine::own_names() const {
    std::vector<std::string> names{"help"};
    if (overrides_ != nullptr) names.emplace_back("help-markdown");
    for (const auto& option : options_) names.push_back(option.name);
    return names;
}

bool CommandLine::is_known(std::string_view name) const {
    const auto own = own_names();
    return std::find(own.begin(), own.end(), name) != own.end() || (overrides_ != nullptr && find_option(name) != nullptr);
}

void CommandLine::unknown(const std::string& word) const {
    const auto name = word.substr(0, word.find('='));
    const std::string bare = name.substr(std::min(name.find_first_not_of('-'), name.size()));
    auto near = nearest(bare, own_names());
    if (near.empty() && overrides_ != nullptr) near = nearest_key(bare);
    fail(Failure::Configuration, "unknown option '{}' of tandem {}{} (`tandem {} --help` lists them)", name, command_.name,
         near.empty() ? near : fmt::format("; did you mean '--{}'?", near), command_.name);
}

void CommandLine::assign(const std::string& name, const std::string& value) {
    // Boost takes the next word for the value also where it is an option.
    if (value.starts_with("--") && is_known(value.substr(2))) no_value("--" + name);
    const auto entry = std::find_if(options_.begin(), options_.end(), [&name](const Entry& e) { return e.name == name; });
    if (entry == options_.end()) {
        const auto same_key = [&name](const Override& earlier) { return earlier.key == name; };
        if (std::any_of(overrides_->begin(), overrides_->end(), same_key)) {
            fail(Failure::Configuration, "option '--{}' is given twice", name);
        }
        overrides_->push_back({name, value});
        return;
    }
    if (entry->seen) fail(Failure::Configuration, "option '--{}' is given twice", name);
    entry->seen = true;
    try {
        entry->set(value);
    } catch (const BadValue& expected) {
        fail(Failure::Configuration, "option '--{}': found '{}', expected {}", name, value, expected.what());
    }
}

void CommandLine::assign_arguments(const std::vector<std::string>& words) {
    if (words.size() > arguments_.size()) {
        fail(Failure::Configuration, "unexpected argument '{}'; usage: tandem {} {}", words[arguments_.size()], command_.name,
             command_.usage);
    }
    for (std::size_t i = 0; i < words.size(); ++i) {
        arguments_[i].seen = true;
        arguments_[i].set(words[i]);
    }
}

void CommandLine::check_complete() const {
    for (const auto& argument : arguments_) {
        if (!argument.seen)
            fail(Failure::Configuration, "{} is missing; usage: tandem {} {}", argument.name, command_.name, command_.usage);
    }
    for (const auto& option : options_) {
        if (option.required && !option.seen) {
            fail(Failure::Configuration, "option '--{}' is missing; usage: tandem {} {}", option.name, command_.name, command_.usage);
        }
    }
}

void CommandLine::no_value(const std::string& name) const {
    const auto entry = std::find_if(options_.begin(), options_.end(), [&name](const Entry& e) { return "--" + e.name == name; });
    const Option* key = find_option(name.substr(2));
    const auto values = entry != options_.end() ? entry->values : key != nullptr ? key->values : std::string();
    fail(Failure::Configuration, "option '{}' has no value, expected {}", name, values.empty() ? "one" : values);
}

po::options_description CommandLine::described() const {
    po::options_description known;
    known.add_options()("help,h", "");
    for (const auto& option : options_) {
        if (option.values.empty()) known.add_options()(option.name.c_str(), "");
        else known.add_options()(option.name.c_str(), po::value<std::string>(), "");
    }
    if (overrides_ == nullptr) return known;
    known.add_options()("help-markdown", "");
    for (const auto& option : option_table()) known.add_options()(option.key.c_str(), po::value<std::string>(), "");
    return known;
}

/// Boost splits the words; what they mean, and what is wrong with them, is decided here.
po::basic_parsed_options<char> CommandLine::split(const std::vector<std::string>& words) const {
    po::positional_options_description anywhere;
    anywhere.add("argument", -1);
    using Syntax = po::invalid_command_line_syntax;
    try {
        return po::command_line_parser(words)
            .options(described())
            .positional(anywhere)
            .style(po::command_line_style::unix_style & ~po::command_line_style::allow_guessing)
            .run();
    } catch (const po::unknown_option& error) {
        unknown(error.get_option_name());
    } catch (const Syntax& error) {
        if (error.kind() == Syntax::extra_parameter) fail(Failure::Configuration, "option '{}' takes no value", error.get_option_name());
        no_value(error.get_option_name());
    } catch (const po::error& error) {
        fail(Failure::Configuration, "{}; usage: tandem {} {}", error.what(), command_.name, command_.usage);
    }
}

bool CommandLine::parse(const std::vector<std::string>& words) {
    const auto parsed = split(words);
    const auto asked = [&parsed](std::string_view name) {
        return std::any_of(parsed.options.begin(), parsed.options.end(), [name](const auto& o) { return o.string_key == name; });
    };
    if (asked("help")) return print_once(runtime_, help()), false;
    if (asked("help-markdown")) return print_once(runtime_, configuration_markdown()), false;
    std::vector<std::string> plain;
    for (const auto& option : parsed.options) {
        if (option.position_key >= 0) plain.insert(plain.end(), option.value.begin(), option.value.end());
        else assign(option.string_key, option.value.empty() ? std::string() : option.value.front());
    }
    assign_arguments(plain);
    check_complete();
    return true;
}

bool CommandLine::given(std::string_view name) const {
    return std::any_of(options_.begin(), options_.end(), [name](const Entry& e) { return e.name == name && e.seen; });
}

std::string CommandLine::help() const {
    auto out = fmt::format("tandem {}: {}\n\nusage: tandem {} {}\n\n", command_.name, command_.summary, command_.name, command_.usage);
    for (const auto& argument : arguments_) out += help_entry(argument.name, argument.help);
    for (const auto& option : options_) {
        auto text = option.help;
        if (option.required) text += " (required)";
        else if (!option.values.empty() && option.values != "text") text += fmt::format(" ({})", option.values);
        if (!option.shown_default.empty()) text += fmt::format(" [{}]", option.shown_default);
        out += help_entry("--" + option.name, text);
    }
    out += help_entry("--help", "this text");
    if (overrides_ != nullptr) {
        out += "\nEvery configuration key is an option as well, --section.key value, and wins over the file:\n" + configuration_help();
    }
    return out;
}

}  // namespace tandem
