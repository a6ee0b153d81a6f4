#include "src/data/report.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tandem {

namespace {

struct Field {
    const char* name;
    std::int64_t PrepareReport::*member;
    enum class Combine : std::uint8_t { Sum, Max } combine = Combine::Sum;
};

constexpr std::array<Field, 16> kFields = {{
    {"records", &PrepareReport::records},
    {"samples", &PrepareReport::samples},
    {"tokens", &PrepareReport::tokens},
    {"trained_tokens", &PrepareReport::trained_tokens},
    {"longest", &PrepareReport::longest, Field::Combine::Max},
    {"longest_record", &PrepareReport::longest_record, Field::Combine::Max},
    {"overlong_dropped", &PrepareReport::overlong_dropped},
    {"overlong_cut", &PrepareReport::overlong_cut},
    {"overlong_split", &PrepareReport::overlong_split},
    {"untrained_dropped", &PrepareReport::untrained_dropped},
    {"answers", &PrepareReport::answers},
    {"answers_empty", &PrepareReport::answers_empty},
    {"answers_without_stop", &PrepareReport::answers_without_stop},
    {"bos_samples", &PrepareReport::bos_samples},
    {"bos_doubled", &PrepareReport::bos_doubled},
    {"eos_samples", &PrepareReport::eos_samples},
}};

double percent(std::int64_t part, std::int64_t whole) {
    return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

/// 1234567 -> "1,234,567"
std::string grouped(std::int64_t n) { return n < 1000 ? std::to_string(n) : fmt::format("{},{:03}", grouped(n / 1000), n % 1000); }

void add_format(std::string& formats, const std::string& more) {
    if (more.empty() || formats == more) return;
    for (std::size_t at = 0; at < formats.size();) {
        const auto end = std::min(formats.find(", ", at), formats.size());
        if (formats.compare(at, end - at, more) == 0) return;
        at = end + 2;
    }
    formats += (formats.empty() ? "" : ", ") + more;
}

}  // namespace

void PrepareReport::add(const PrepareReport& part) {
    add_format(format, part.format);
    for (const auto& field : kFields) {
        auto& total = this->*field.member;
        const auto value = part.*field.member;
        total = field.combine == Field::Combine::Max ? std::max(total, value) : total + value;
    }
}

Json to_json(const PrepareReport& report) {
    Json json = {{"format", report.format}};
    for (const auto& field : kFields) json[field.name] = report.*field.member;
    json["trained_percent"] = percent(report.trained_tokens, report.tokens);
    json["warnings"] = warnings(report);
    return json;
}

PrepareReport report_from_json(const Json& json, const std::string& source) {
    PrepareReport report;
    report.format = get<std::string>(json, "format", source);
    for (const auto& field : kFields) report.*field.member = get<std::int64_t>(json, field.name, source);
    return report;
}

std::vector<std::string> warnings(const PrepareReport& r) {
    std::vector<std::string> list;
    if (r.answers_without_stop > 0) {
        list.push_back(fmt::format("{} of {} answers do not end in a trained stop token: the model does not learn to stop there",
                                   grouped(r.answers_without_stop), grouped(r.answers)));
    }
    if (r.answers_empty > 0) list.push_back(fmt::format("{} of {} answers are empty", grouped(r.answers_empty), grouped(r.answers)));
    if (r.bos_doubled > 0) {
        list.push_back(
            fmt::format("{} samples begin with two beginning-of-sequence tokens: the data has one of its own", grouped(r.bos_doubled)));
    }
    if (r.overlong_dropped > 0) {
        list.push_back(
            fmt::format("{} of {} records are too long and were dropped; the longest has {} tokens (data.max_seq_length), or see "
                        "data.overlong",
                        grouped(r.overlong_dropped), grouped(r.records), grouped(r.longest_record)));
    }
    if (r.untrained_dropped > 0) {
        list.push_back(fmt::format("{} samples had no trained token and were dropped", grouped(r.untrained_dropped)));
    }
    return list;
}

std::string describe(const PrepareReport& r, const std::string& title) {
    std::string text = title + "\n";
    const auto line = [&](std::string_view label, const std::string& value) { text += fmt::format("  {:<16}{}\n", label, value); };
    line("format", r.format);
    line("samples", fmt::format("{} of {} records", grouped(r.samples), grouped(r.records)));
    line("tokens", fmt::format("{}, {} of them trained ({:.1f} %)", grouped(r.tokens), grouped(r.trained_tokens),
                               percent(r.trained_tokens, r.tokens)));
    const double mean = r.samples == 0 ? 0.0 : static_cast<double>(r.tokens) / static_cast<double>(r.samples);
    line("sample length", fmt::format("{:.1f} tokens on average, {} the longest", mean, grouped(r.longest)));
    line("too long",
         fmt::format("{} dropped, {} cut, {} split", grouped(r.overlong_dropped), grouped(r.overlong_cut), grouped(r.overlong_split)));
    line("without label", fmt::format("{} dropped", grouped(r.untrained_dropped)));
    if (r.answers > 0) {
        line("answers", fmt::format("{}, {} without a trained stop token, {} empty", grouped(r.answers), grouped(r.answers_without_stop),
                                    grouped(r.answers_empty)));
    }
    line("BOS and EOS", fmt::format("{} samples begin with BOS ({} with two), {} end with EOS", grouped(r.bos_samples),
                                    grouped(r.bos_doubled), grouped(r.eos_samples)));
    for (const auto& warning : warnings(r)) text += "  warning: " + warning + "\n";
    return text;
}

}  // namespace tandem
