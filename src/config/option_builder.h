// Makes the rows of the option table from pointers to RunConfig's members, so that a row's text, parser and value agree.
#pragma once

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "src/config/option_table.h"
#include "src/config/suggest.h"
#include "src/config/value.h"

namespace tandem {

/// The words of a closed set of values, the first being the one to mention first.
template <class E>
using Words = std::vector<std::pair<std::string_view, E>>;

/// "a, b or c"
[[nodiscard]] std::string enumerated(const std::vector<std::string>& words);
/// A JSON value as it would be typed; null gives `absent`.
[[nodiscard]] std::string as_typed(const nlohmann::ordered_json& value, std::string_view absent);

/// The value of `option` in a configuration that says nothing, as it would be typed.
[[nodiscard]] std::string default_text(const Option& option, std::string_view absent);

template <class E>
std::vector<std::string> spellings(const Words<E>& words) {
    std::vector<std::string> out;
    for (const auto& [word, value] : words) out.emplace_back(word);
    return out;
}

template <class E>
E parse_word(std::string_view text, const Words<E>& words) {
    for (const auto& [word, value] : words) {
        if (word == text) return value;
    }
    throw BadValue(enumerated(spellings(words)) + did_you_mean(text, spellings(words)));
}

/// Rows of one section. `S` is its struct, `section` where RunConfig has it.
template <class S>
class SectionRows {
public:
    SectionRows(std::string name, S RunConfig::*section, std::vector<Option>& table)
        : name_(std::move(name)), section_(section), table_(table) {}

    /// `parse(text)` gives the value, `show(value)` its JSON.
    template <class T, class Parse, class Show>
    void row(std::string_view leaf, T S::*member, std::string values, std::string absent, std::string help, Parse parse, Show show) {
        Option option;
        option.key = fmt::format("{}.{}", name_, leaf);
        option.values = std::move(values);
        option.help = std::move(help);
        option.set = [section = section_, member, parse](RunConfig& config, std::string_view text) {
            config.*section.*member = static_cast<T>(parse(text));
        };
        option.get = [section = section_, member, show](const RunConfig& config) -> nlohmann::ordered_json {
            return show(config.*section.*member);
        };
        option.default_text = default_text(option, absent);
        table_.push_back(std::move(option));
    }

    void integer(std::string_view leaf, std::int64_t S::*member, const Range& range, std::string help) {
        row(
            leaf, member, "a whole number, " + range.describe(), "", std::move(help),
            [range](std::string_view text) { return parse_integer(text, range); }, same<std::int64_t>);
    }
    void integer(std::string_view leaf, std::optional<std::int64_t> S::*member, const Range& range, std::string absent, std::string help) {
        optional(leaf, member, "a whole number, " + range.describe(), std::move(absent), std::move(help),
                 [range](std::string_view text) { return parse_integer(text, range); });
    }
    void real(std::string_view leaf, double S::*member, const Range& range, std::string help) {
        row(
            leaf, member, "a number, " + range.describe(), "", std::move(help),
            [range](std::string_view text) { return parse_real(text, range); }, same<double>);
    }
    void flag(std::string_view leaf, bool S::*member, std::string help) {
        row(leaf, member, "true or false", "", std::move(help), parse_bool, same<bool>);
    }
    template <class E>
    void choice(std::string_view leaf, E S::*member, Words<E> words, std::string help) {
        const auto values = enumerated(spellings(words));
        row(
            leaf, member, values, "", std::move(help), [words](std::string_view text) { return parse_word(text, words); },
            [words](E value) { return word_of(value, words); });
    }
    void text(std::string_view leaf, std::string S::*member, std::string values, std::string help) {
        row(
            leaf, member, std::move(values), "required", std::move(help), [](std::string_view text) { return std::string(text); },
            [](const std::string& value) { return value.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(value); });
    }
    void text(std::string_view leaf, std::optional<std::string> S::*member, std::string values, std::string absent, std::string help) {
        optional(leaf, member, std::move(values), std::move(absent), std::move(help),
                 [](std::string_view text) { return std::string(text); });
    }
    void list(std::string_view leaf, std::vector<std::string> S::*member, std::string values, std::string absent, std::string help) {
        const auto parse = [absent](std::string_view text) { return text == absent ? std::vector<std::string>() : parse_list(text); };
        row(leaf, member, std::move(values), absent, std::move(help), parse,
            [](const std::vector<std::string>& value) { return value.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(value); });
    }
    /// A value that may be absent; `absent` is the word for that, also when typed.
    template <class T, class Parse>
    void optional(std::string_view leaf, std::optional<T> S::*member, std::string values, std::string absent, std::string help,
                  Parse parse) {
        const auto words = fmt::format("{}, or {}", values, absent);
        const auto parse_absent = [absent, parse](std::string_view text) {
            try {
                return text == absent ? std::optional<T>() : std::optional<T>(parse(text));
            } catch (const BadValue& bad) {
                throw BadValue(fmt::format("{}, or {}", bad.what(), absent));
            }
        };
        row(leaf, member, words, absent, std::move(help), parse_absent,
            [](const std::optional<T>& value) { return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(); });
    }

    template <class E>
    static nlohmann::ordered_json word_of(E value, const Words<E>& words) {
        for (const auto& [word, candidate] : words) {
            if (candidate == value) return std::string(word);
        }
        return nullptr;
    }

private:
    template <class T>
    static nlohmann::ordered_json same(const T& value) {
        return value;
    }

    std::string name_;
    S RunConfig::*section_;
    std::vector<Option>& table_;
};

// The table's parts, each in a file options_<part>.cpp.
void add_model_options(std::vector<Option>& table);
void add_data_options(std::vector<Option>& table);
void add_training_options(std::vector<Option>& table);
void add_run_options(std::vector<Option>& table);

}  // namespace tandem
