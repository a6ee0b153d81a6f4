// Text to values and back. A parser that cannot use the text throws BadValue with what it would have taken; who calls it
// knows where the text comes from and makes the message.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace tandem {

/// `what()` says what was expected: "a whole number, at least 1".
struct BadValue : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

/// A range of numbers for checks and for the words that describe it.
struct Range {
    double min, max;
    enum class Upper : std::uint8_t { Inclusive, Exclusive } upper = Upper::Inclusive;
    enum class Lower : std::uint8_t { Inclusive, Exclusive } lower = Lower::Inclusive;
    [[nodiscard]] bool contains(double x) const;
    [[nodiscard]] std::string describe() const;  ///< "at least 1", "above 0", "from 0 to 1", "from 0, below 1"
};
/// Whole numbers from `min` up, and real numbers from, or above, `min`.
[[nodiscard]] Range at_least(double min);
[[nodiscard]] Range above(double min);

/// Decimal digits with an optional sign, nothing after them, within `range`.
[[nodiscard]] std::int64_t parse_integer(std::string_view text, const Range& range);
/// 0 to 2^64 - 1.
[[nodiscard]] std::uint64_t parse_seed(std::string_view text);
/// Decimal or scientific notation; no NaN, no infinity, nothing that overflows.
[[nodiscard]] double parse_real(std::string_view text, const Range& range);
/// true false yes no on off 1 0, in any case.
[[nodiscard]] bool parse_bool(std::string_view text);
/// "24GiB", "80GB", "1.5 TiB", "1048576", "4096B": decimal (kB MB GB TB) and binary (KiB MiB GiB TiB) units in any case.
[[nodiscard]] std::uint64_t parse_bytes(std::string_view text);
/// Seconds: "90", "1.5", "90s", "10min", "2h".
[[nodiscard]] double parse_seconds(std::string_view text);
/// Comma-separated, spaces around entries dropped; an empty entry is an error.
[[nodiscard]] std::vector<std::string> parse_list(std::string_view text);

[[nodiscard]] std::string_view trimmed(std::string_view text);
/// The shortest decimal text that reads back as the same double: "0.0002", "32", "1e-08".
[[nodiscard]] std::string shortest(double value);

}  // namespace tandem
