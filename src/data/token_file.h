// Tokenised samples in one HDF5 file: what `tandem prepare` makes and training reads.
//
//   ids     int32 [tokens]       token ids, sample after sample
//   labels  int32 [tokens]       aligned with ids (not shifted), -100 where not trained; never trained at a sample's start
//   offsets int64 [samples + 1]  first token of each sample
//   trained int32 [samples]      labels of each sample that count in the loss
//   attributes of the root: content ("tandem tokens"), version (1), key (what it was made from), report (JSON), checksum
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/data/report.h"
#include "src/io/files.h"
#include "src/io/hash.h"

namespace tandem {

/// An open token file. Tables of one number a sample are in memory, tokens stay in the file (and in the page cache, which ranks
/// of a node share). Const calls may come from several threads.
class TokenFile {
public:
    /// Throws Input if the file is not a token file, or not a whole one.
    static TokenFile open(const std::filesystem::path& file);

    [[nodiscard]] std::int64_t samples() const { return static_cast<std::int64_t>(lengths_.size()); }
    [[nodiscard]] std::int64_t tokens() const { return offsets_.back(); }
    [[nodiscard]] std::int32_t length(std::int64_t sample) const { return lengths_.at(static_cast<std::size_t>(sample)); }
    [[nodiscard]] std::int64_t offset(std::int64_t sample) const { return offsets_.at(static_cast<std::size_t>(sample)); }
    [[nodiscard]] const std::vector<std::int32_t>& lengths() const { return lengths_; }  ///< tokens of each sample
    [[nodiscard]] const std::vector<std::int32_t>& trained() const { return trained_; }  ///< trained tokens of each sample

    /// One sample; both spans have length(sample) elements.
    void read(std::int64_t sample, std::span<std::int32_t> ids, std::span<std::int32_t> labels) const;

    [[nodiscard]] const std::string& key() const { return key_; }
    [[nodiscard]] const PrepareReport& report() const { return report_; }
    [[nodiscard]] const std::filesystem::path& path() const { return file_->path(); }

    /// Reads everything once and compares with the checksum. Throws Input if they differ.
    void verify() const;

private:
    TokenFile() = default;
    std::unique_ptr<RandomAccessFile> file_;
    std::uint64_t ids_at_ = 0, labels_at_ = 0;  ///< bytes
    std::vector<std::int64_t> offsets_;
    std::vector<std::int32_t> lengths_, trained_;
    std::string key_, checksum_;
    PrepareReport report_;
};

/// Bytes that were appended, in a file that has no name: nothing stays behind however the process ends.
class Spool {
public:
    /// In the directory `directory`. Throws Configuration or Run naming it.
    explicit Spool(const std::filesystem::path& directory);
    void append(std::span<const std::byte> bytes);
    void flush();
    /// Exactly `target.size()` bytes from `offset`, after flush().
    void read(std::uint64_t offset, std::span<std::byte> target) const;

private:
    std::filesystem::path directory_;
    FileDescriptor fd_;
    std::vector<std::byte> buffer_;
    std::uint64_t end_ = 0;
};

/// Makes a token file in bounded memory. It appears, complete, at commit(), and not at all otherwise.
class TokenFileWriter {
public:
    explicit TokenFileWriter(std::filesystem::path file);
    /// A sample of at least one token; labels as TokenFile documents them.
    void append(std::span<const std::int32_t> ids, std::span<const std::int32_t> labels);
    void commit(const std::string& key, const PrepareReport& report);

private:
    std::filesystem::path path_;
    Spool ids_, labels_;
    Hasher ids_hash_, labels_hash_;
    std::vector<std::int64_t> offsets_ = {0};
    std::vector<std::int32_t> trained_;
};

}  // namespace tandem
