#include "src/train/run_log.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>

#include "src/io/files.h"

namespace tandem {
namespace {

/// The lines of an earlier run's log that stand at or before `step`.
std::string kept_lines(const std::filesystem::path& file, std::int64_t step, std::set<std::int64_t>& evaluated) {
    std::string kept;
    if (step == 0 || !std::filesystem::exists(file)) return kept;
    std::ifstream in(file, std::ios::binary);
    for (std::string line; std::getline(in, line);) {
        if (in.eof()) break;  // no newline: the write was cut short
        const auto record = Json::parse(line, nullptr, false);
        if (!record.is_object() || !record.value("step", Json()).is_number_integer() || record["step"].get<std::int64_t>() > step) continue;
        if (record.contains("eval_loss")) evaluated.insert(record["step"].get<std::int64_t>());
        kept += line + '\n';
    }
    return kept;
}

}  // namespace

void put_number(Json& record, const char* key, double value) {
    if (std::isfinite(value)) {
        record[key] = value;
    } else {
        record[key] = nullptr;
        record["nonfinite"] = true;
    }
}

RunLog::RunLog(std::filesystem::path file, std::int64_t step) : path_(std::move(file)), file_(nullptr, std::fclose) {
    write_file_atomically(path_, kept_lines(path_, step, evaluated_));
    file_.reset(std::fopen(path_.c_str(), "ab"));
    if (!file_) fail(Failure::Configuration, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
}

void RunLog::append(const Json& record) {
    const std::string line = dump_json(record) + "\n";
    if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() || std::fflush(file_.get()) != 0) {
        fail(Failure::Run, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
    }
}

void RunLog::step(const StepRecord& r) {
    Json record = {{"step", r.step},
                   {"learning_rate", r.learning_rate},
                   {"tokens", r.tokens},
                   {"trained_tokens", r.trained_tokens},
                   {"step_seconds", r.seconds},
                   {"tokens_per_second", r.seconds > 0 ? static_cast<double>(r.tokens) / r.seconds : 0.0},
                   {"memory_peak_bytes", r.memory_peak_bytes},
                   {"rss_peak_bytes", r.rss_peak_bytes}};
    put_number(record, "loss", r.loss);
    put_number(record, "grad_norm", r.grad_norm);
    append(record);
}

void RunLog::evaluation(std::int64_t step, double loss) {
    Json record = {{"step", step}};
    put_number(record, "eval_loss", loss);
    put_number(record, "eval_perplexity", std::exp(loss));
    append(record);
    evaluated_.insert(step);
}

}  // namespace tandem
