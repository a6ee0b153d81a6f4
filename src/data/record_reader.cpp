#include "src/data/record_reader.h"

#include <algorithm>
#include <cctype>
#include <span>

#include "kernels/base/error.h"

namespace tandem {

namespace {

bool is_space(int c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// The first byte that is not space, or 0.
char first_of(std::string_view text) {
    const auto at = text.find_first_not_of(" \t\r\n");
    return at == std::string_view::npos ? '\0' : text[at];
}

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

std::string RecordPlace::str() const {
    return record == 0 ? fmt::format("{}:{}", file, line) : fmt::format("{}:{} (record {})", file, line, record);
}

RecordReader::RecordReader(const std::string& file, PlainText plain_text) : file_(file), name_(file) {
    (void)peek();
    const std::string_view head(reinterpret_cast<const char*>(block_.data()), block_.size());
    refuse_binary(head);
    const std::size_t mark = head.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
    layout_ = recognise(head.substr(mark), plain_text);
    in_block_ = mark;
}

void RecordReader::refuse_binary(std::string_view head) const {
    using namespace std::string_view_literals;
    const auto refuse = [&](std::string_view what, std::string_view remedy) {
        fail(Failure::Input, "{}: this is {}, but JSON Lines, a JSON array or plain text in UTF-8 is needed; {}", name_, what, remedy);
    };
    if (head.starts_with("\x1F\x8B"sv)) refuse("gzip-compressed data", "unpack it first: gunzip -k FILE");
    if (head.starts_with("\x28\xB5\x2F\xFD"sv)) refuse("zstd-compressed data", "unpack it first: zstd -d FILE");
    if (head.starts_with("PK\x03\x04"sv)) refuse("a zip archive", "unpack it first: unzip FILE");
    if (head.starts_with("PAR1"sv)) refuse("a Parquet file", "write it as JSON Lines first");
    if (head.starts_with("\x89HDF"sv)) refuse("an HDF5 file", "give the data file from which it was made");
    if (head.starts_with("\xFF\xFE"sv) || head.starts_with("\xFE\xFF"sv)) {
        refuse("UTF-16 text", "convert it first: iconv -f UTF-16 -t UTF-8 FILE");
    }
}

FileLayout RecordReader::recognise(std::string_view head, PlainText plain_text) const {
    auto extension = std::filesystem::path(name_).extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const char first = first_of(head);
    // A text may well begin with a bracket; only an object's brace makes a .txt file JSON.
    const bool named_as_text = extension == ".txt" || extension == ".md";
    if (plain_text != PlainText::Never && named_as_text && first != '{') return FileLayout::Lines;
    if (plain_text == PlainText::ByContents && first != '{' && first != '[') return FileLayout::Lines;
    return first == '[' ? FileLayout::JsonArray : FileLayout::JsonLines;
}

int RecordReader::peek() {
    if (in_block_ == block_.size()) {
        const auto rest = file_.size() - read_;
        block_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(rest, kBlock)));
        in_block_ = 0;
        if (block_.empty()) return -1;
        file_.read(read_, block_);
        read_ += block_.size();
    }
    return std::to_integer<int>(block_[in_block_]);
}

int RecordReader::take() {
    const int c = peek();
    if (c < 0) return c;
    ++in_block_;
    if (c == '\n') ++line_;
    return c;
}

void RecordReader::skip_space() {
    while (is_space(peek())) take();
}

bool RecordReader::next(RawRecord& record) { return layout_ == FileLayout::JsonArray ? next_element(record) : next_line(record); }

bool RecordReader::next_line(RawRecord& record) {
    while (peek() >= 0) {
        record.place = {name_, line_, 0};
        record.text.clear();
        for (int c = take(); c >= 0 && c != '\n'; c = take()) record.text.push_back(static_cast<char>(c));
        if (record.text.ends_with('\r')) record.text.pop_back();
        if (first_of(record.text) != '\0') return true;
    }
    return false;
}

bool RecordReader::next_element(RawRecord& record) {
    if (array_done_) return false;
    skip_space();
    if (!array_open_) {
        take();  // '[', which made this a JsonArray
        array_open_ = true;
        skip_space();
        if (peek() == ']') {
            end_array();
            return false;
        }
    }
    record.place = {name_, line_, ++records_};
    record.text.clear();
    take_value(record.text, line_);
    skip_space();
    if (peek() == ']') {
        end_array();
    } else if (peek() == ',') {
        take();
    }
    return true;
}

/// Up to the comma or bracket that ends the element; what is in between the parser judges.
void RecordReader::take_value(std::string& text, std::int64_t first_line) {
    int depth = 0;
    bool in_string = false, escaped = false;
    for (;;) {
        const int c = peek();
        if (c < 0) {
            fail(Failure::Input,
                 "{}:{}: the JSON array ends in the middle of record {}, which begins at line {}; the file seems to be cut short: write it "
                 "again",
                 name_, line_, records_, first_line);
        }
        if (!in_string && depth == 0 && (c == ',' || c == ']')) break;
        text.push_back(static_cast<char>(take()));
        if (in_string) {
            if (escaped) escaped = false;
            else if (c == '\\') escaped = true;
            else if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            ++depth;
        } else if (c == '}' || c == ']') {
            --depth;
        }
    }
}

void RecordReader::end_array() {
    take();
    array_done_ = true;
    skip_space();
    if (peek() >= 0) {
        fail(Failure::Input, "{}:{}: there is more after the end of the JSON array; one array a file, or JSON Lines (one object a line)",
             name_, line_);
    }
}

}  // namespace tandem
