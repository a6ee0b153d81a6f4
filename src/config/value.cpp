#include "src/config/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

namespace tandem {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

/// from_chars has no leading plus; people type one.
std::string_view without_plus(std::string_view text) {
    if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
    return text;
}

/// A number and the letters after it: "1.5 GiB" -> 1.5, "gib".
struct Quantity {
    double number;
    std::string unit;
};
Quantity parse_quantity(std::string_view text, const char* expected) {
    text = without_plus(trimmed(text));
    Quantity q{};
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), q.number);
    if (status != std::errc() || !std::isfinite(q.number) || q.number < 0) throw BadValue(expected);
    q.unit = lower(trimmed(text.substr(static_cast<std::size_t>(end - text.data()))));
    return q;
}

struct Unit {
    std::string_view name;
    double factor;
};
template <std::size_t N>
double scaled(const Quantity& q, const std::array<Unit, N>& units, const char* expected) {
    for (const auto& unit : units) {
        if (unit.name == q.unit) return q.number * unit.factor;
    }
    throw BadValue(expected);
}

}  // namespace

Range at_least(double min) { return {min, kInfinity}; }
Range above(double min) { return {min, kInfinity, Range::Upper::Inclusive, Range::Lower::Exclusive}; }

bool Range::contains(double x) const {
    const bool above_min = lower == Lower::Exclusive ? x > min : x >= min;
    const bool below_max = upper == Upper::Exclusive ? x < max : x <= max;
    return above_min && below_max;
}

std::string Range::describe() const {
    const bool open = lower == Lower::Exclusive;
    if (max == kInfinity) return fmt::format("{} {}", open ? "above" : "at least", shortest(min));
    return fmt::format("{} {}{} {}", open ? "above" : "from", shortest(min), upper == Upper::Exclusive ? ", below" : " to", shortest(max));
}

std::int64_t parse_integer(std::string_view text, const Range& range) {
    const auto digits = without_plus(text);
    std::int64_t value = 0;
    const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (status != std::errc() || end != digits.data() + digits.size() || !range.contains(static_cast<double>(value))) {
        throw BadValue("a whole number, " + range.describe());
    }
    return value;
}

std::uint64_t parse_seed(std::string_view text) {
    const auto digits = without_plus(text);
    std::uint64_t value = 0;
    const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (status != std::errc() || end != digits.data() + digits.size()) throw BadValue("a whole number from 0 to 2^64 - 1");
    return value;
}

double parse_real(std::string_view text, const Range& range) {
    const auto digits = without_plus(text);
    double value = 0;
    const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool whole = status == std::errc() && end == digits.data() + digits.size();
    if (!whole || !std::isfinite(value) || !range.contains(value)) throw BadValue("a number, " + range.describe());
    return value;
}

bool parse_bool(std::string_view text) {
    const auto word = lower(text);
    if (word == "true" || word == "yes" || word == "on" || word == "1") return true;
    if (word == "false" || word == "no" || word == "off" || word == "0") return false;
    throw BadValue("true or false");
}

std::uint64_t parse_bytes(std::string_view text) {
    static constexpr auto kExpected = "a number of bytes with a unit such as 24GiB or 80GB";
    static constexpr std::array<Unit, 14> kUnits = {{{"", 1},
                                                     {"b", 1},
                                                     {"k", 0x1p10},
                                                     {"kb", 1e3},
                                                     {"kib", 0x1p10},
                                                     {"mb", 1e6},
                                                     {"mib", 0x1p20},
                                                     {"m", 0x1p20},
                                                     {"gb", 1e9},
                                                     {"gib", 0x1p30},
                                                     {"g", 0x1p30},
                                                     {"tb", 1e12},
                                                     {"tib", 0x1p40},
                                                     {"t", 0x1p40}}};
    const double bytes = scaled(parse_quantity(text, kExpected), kUnits, kExpected);
    if (bytes < 1 || bytes >= 0x1p63) throw BadValue(kExpected);
    return static_cast<std::uint64_t>(bytes);
}

double parse_seconds(std::string_view text) {
    static constexpr auto kExpected = "a time above 0 in seconds, or with a unit such as 90s, 10min or 2h";
    static constexpr std::array<Unit, 6> kUnits = {{{"", 1}, {"s", 1}, {"sec", 1}, {"min", 60}, {"m", 60}, {"h", 3600}}};
    const double seconds = scaled(parse_quantity(text, kExpected), kUnits, kExpected);
    if (!(seconds > 0) || seconds > 1e9) throw BadValue(kExpected);
    return seconds;
}

std::vector<std::string> parse_list(std::string_view text) {
    std::vector<std::string> entries;
    for (std::size_t begin = 0; begin <= text.size();) {
        const auto end = std::min(text.find(',', begin), text.size());
        const auto entry = trimmed(text.substr(begin, end - begin));
        if (entry.empty()) throw BadValue("a comma-separated list without empty entries");
        entries.emplace_back(entry);
        begin = end + 1;
    }
    return entries;
}

std::string_view trimmed(std::string_view text) {
    static constexpr std::string_view kSpace = " \t\r\v\f";
    const auto first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string shortest(double value) { return fmt::format("{}", value); }

}  // namespace tandem
