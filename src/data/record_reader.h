// A data file as a stream of records, one in memory at a time: JSON Lines, one JSON array, or plain text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "src/io/files.h"

namespace tandem {

/// Where a record begins, for messages.
struct RecordPlace {
    std::string file;
    std::int64_t line = 0;                  ///< from 1
    std::int64_t record = 0;                ///< from 1; 0 where the line says it already
    [[nodiscard]] std::string str() const;  ///< "train.jsonl:7", "train.json:12 (record 3)"
};

enum class FileLayout : std::uint8_t {
    JsonLines,  ///< one JSON value a line; blank lines are skipped
    JsonArray,  ///< one array of values, over as many lines as it likes
    Lines,      ///< plain text, one document a line; blank lines are skipped (as the `text` loader of Hugging Face datasets)
};

/// Which files may be plain text: none, those named .txt or .md, or also any whose contents do not begin as JSON does.
enum class PlainText : std::uint8_t { Never, ByName, ByContents };

/// The bytes of one record; not parsed yet, so that this can be done by several threads.
struct RawRecord {
    std::string text;
    RecordPlace place;
};

/// Accepts CRLF and a UTF-8 byte order mark. Throws Input for files that are not text at all (compressed, Parquet, UTF-16) and for
/// arrays that do not end, naming file, line, what was found and what to do.
class RecordReader {
public:
    RecordReader(const std::string& file, PlainText plain_text);

    /// The next record, or false at the end.
    bool next(RawRecord& record);

    [[nodiscard]] FileLayout layout() const { return layout_; }

private:
    static constexpr std::size_t kBlock = std::size_t{1} << 20U;
    void refuse_binary(std::string_view head) const;
    [[nodiscard]] FileLayout recognise(std::string_view head, PlainText plain_text) const;
    [[nodiscard]] int peek();  ///< next byte or -1
    int take();                ///< the same, and past it; counts lines
    void skip_space();
    bool next_line(RawRecord& record);
    bool next_element(RawRecord& record);
    void take_value(std::string& text, std::int64_t first_line);
    void end_array();

    RandomAccessFile file_;
    std::string name_;
    FileLayout layout_ = FileLayout::JsonLines;
    std::vector<std::byte> block_;
    std::size_t in_block_ = 0;
    std::uint64_t read_ = 0;  ///< bytes of the file that have been in block_
    std::int64_t line_ = 1, records_ = 0;
    bool array_open_ = false, array_done_ = false;
};

}  // namespace tandem
