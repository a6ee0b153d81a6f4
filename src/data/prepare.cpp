#include "src/data/prepare.h"

#include <atomic>
#include <exception>
#include <thread>

#include "kernels/base/error.h"
#include "src/data/data_files.h"
#include "src/data/encode.h"
#include "src/data/token_cache.h"

namespace tandem {

std::string_view name(LabelPolicy policy) { return policy == LabelPolicy::Assistant ? "assistant" : "all"; }

std::string_view name(LengthPolicy policy) {
    switch (policy) {
        case LengthPolicy::Drop: return "drop";
        case LengthPolicy::Cut: return "cut";
        case LengthPolicy::Split: return "split";
    }
    return "?";
}

namespace {

/// Consecutive records of one file: what one thread works on.
struct Chunk {
    static constexpr std::size_t kRecords = 64;
    static constexpr std::size_t kBytes = std::size_t{256} << 10U;
    std::vector<RawRecord> records;
    FileLayout layout = FileLayout::JsonLines;
    RecordFormat format = RecordFormat::Auto;
    EncodedSamples samples;
    std::exception_ptr error;
};

/// All files, one after another, in chunks.
class ChunkReader {
public:
    ChunkReader(const std::vector<std::string>& files, RecordFormat format) : files_(files), format_(format) {}

    /// False at the end of the last file.
    bool next(Chunk& chunk) {
        RawRecord record;
        std::size_t bytes = 0;
        chunk = {};
        while (chunk.records.size() < Chunk::kRecords && bytes < Chunk::kBytes) {
            if (!reader_ && !open_next()) break;
            if (!reader_->next(record)) {
                reader_.reset();
                if (!chunk.records.empty()) break;  // a chunk is of one file, because formats may differ
                continue;
            }
            if (file_format_ == RecordFormat::Auto) file_format_ = detect(record);
            chunk.layout = reader_->layout();
            chunk.format = file_format_;
            bytes += record.text.size();
            chunk.records.push_back(std::move(record));
        }
        return !chunk.records.empty();
    }

private:
    bool open_next() {
        if (next_file_ == files_.size()) return false;
        const auto plain_text = format_ == RecordFormat::Auto   ? PlainText::ByName
                                : format_ == RecordFormat::Text ? PlainText::ByContents
                                                                : PlainText::Never;
        reader_.emplace(files_[next_file_++], plain_text);
        file_format_ = reader_->layout() == FileLayout::Lines ? RecordFormat::Text : format_;
        return true;
    }

    [[nodiscard]] static RecordFormat detect(const RawRecord& record) { return detect_format(parse_json_record(record), record.place); }

    const std::vector<std::string>& files_;
    RecordFormat format_, file_format_ = RecordFormat::Auto;
    std::size_t next_file_ = 0;
    std::optional<RecordReader> reader_;
};

/// Encodes every chunk; which thread does which does not matter, because results stay with their chunks.
void encode_all(const Encoder& encoder, std::span<Chunk> chunks, int threads) {
    std::atomic<std::size_t> next = 0;
    const auto work = [&] {
        for (std::size_t i = next++; i < chunks.size(); i = next++) {
            auto& chunk = chunks[i];
            try {
                chunk.samples.counts.format = name(chunk.format);
                for (const auto& record : chunk.records) encoder.encode(record, chunk.layout, chunk.format, chunk.samples);
            } catch (...) {
                chunk.error = std::current_exception();
            }
        }
    };
    std::vector<std::jthread> helpers;
    for (int i = 1; i < threads && static_cast<std::size_t>(i) < chunks.size(); ++i) helpers.emplace_back(work);
    work();
}

void write(const EncodedSamples& samples, TokenFileWriter& writer) {
    std::size_t first = 0;
    for (const auto length : samples.lengths) {
        const auto n = static_cast<std::size_t>(length);
        writer.append(std::span(samples.ids).subspan(first, n), std::span(samples.labels).subspan(first, n));
        first += n;
    }
}

[[noreturn]] void fail_nothing_to_train(const PrepareReport& report, const std::vector<std::string>& files, const DataSettings& settings) {
    const auto where = files.size() == 1 ? files[0] : fmt::format("{} and {} more files", files[0], files.size() - 1);
    if (report.records == 0) fail(Failure::Input, "{}: the data has no records", where);
    fail(Failure::Input,
         "{}: nothing to train on in {} records (format {}): {} are longer than data.max_seq_length = {} and were dropped (the longest has "
         "{} "
         "tokens), {} samples have no trained token (data.train_on = {}, {} assistant turns)",
         where, report.records, report.format, report.overlong_dropped, settings.max_seq_length, report.longest_record,
         report.untrained_dropped, name(settings.train_on), report.answers);
}

/// In waves of a few chunks a thread, so that memory is bounded and the output in order.
PrepareReport make_token_file(const DataSettings& settings, const std::vector<std::string>& files, const Encoder& encoder,
                              const std::filesystem::path& target, const std::string& key, const PrepareProgress& progress) {
    PrepareReport report;
    TokenFileWriter writer(target);
    ChunkReader reader(files, settings.format);
    std::vector<Chunk> wave(static_cast<std::size_t>(settings.threads) * 4);
    std::exception_ptr reading_failed;
    for (bool more = true; more;) {
        std::size_t chunks = 0;
        try {
            while (chunks < wave.size() && (more = reader.next(wave[chunks]))) ++chunks;
        } catch (...) {  // what comes before it in the file is reported first
            reading_failed = std::current_exception();
            more = false;
            if (!wave[chunks].records.empty()) ++chunks;
        }
        encode_all(encoder, std::span(wave).first(chunks), settings.threads);
        for (std::size_t i = 0; i < chunks; ++i) {
            if (wave[i].error) std::rethrow_exception(wave[i].error);
            report.add(wave[i].samples.counts);
            write(wave[i].samples, writer);
        }
        if (reading_failed) std::rethrow_exception(reading_failed);
        if (progress) progress(report.records);
    }
    if (report.samples == 0) fail_nothing_to_train(report, files, settings);
    writer.commit(key, report);
    return report;
}

}  // namespace

Prepared prepare(const DataSettings& settings, const Tokenizer* tokenizer, const ChatTemplate* chat_template,
                 const PrepareProgress& progress) {
    require(settings.threads >= 1 && settings.max_seq_length >= 1 && settings.vocabulary >= 1, "{} threads, {} tokens, a vocabulary of {}",
            settings.threads, settings.max_seq_length, settings.vocabulary);
    const auto files = expand_files(settings.files);
    if (files.empty()) fail(Failure::Configuration, "no data file is given: set data.train, or data.validation");
    const auto key = content_key(settings, files, tokenizer, chat_template);
    const TokenCache cache(settings.cache);

    std::string note;
    const auto found = [&](TokenFile file, bool cached) {
        auto report = file.report();
        return Prepared{std::move(file), std::move(report), cached, note};
    };
    if (auto file = cache.find(key, note)) return found(std::move(*file), true);
    const auto lock = cache.lock(settings.lock_deadline);
    note.clear();
    if (auto file = cache.find(key, note)) return found(std::move(*file), true);  // made while this process waited
    cache.remove_leftovers();
    const Encoder encoder(settings, tokenizer, chat_template);
    make_token_file(settings, files, encoder, cache.path(key), key, progress);
    return found(TokenFile::open(cache.path(key)), false);
}

}  // namespace tandem
