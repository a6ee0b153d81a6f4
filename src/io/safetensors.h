// Reading of safetensors files (https://github.com/huggingface/safetensors): 8 bytes little-endian header length, a JSON header
// {"name": {"dtype": "BF16", "shape": [..], "data_offsets": [begin, end]}, "__metadata__": {..}}, then the data without holes.
// Only byte ranges that are asked for are read.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/tensor.h"
#include "src/io/files.h"

namespace tandem {

/// Where one tensor lies.
struct SafetensorsEntry {
    DType dtype = DType::F32;
    Shape shape;
    std::string_view type;     ///< the format's own name of the element type, "BF16"
    std::uint64_t offset = 0;  ///< from the start of the file, bytes
    std::uint64_t bytes = 0;
    std::size_t file = 0;  ///< index of the shard in a SafetensorsModel
    std::string refused;   ///< why tandem cannot use it (element type, more than four dimensions); empty: it can
};

using SafetensorsEntries = std::map<std::string, SafetensorsEntry, std::less<>>;

/// One file. The constructor validates the whole header; throws Configuration if the file does not exist, Input naming file
/// and tensor for anything wrong in it.
class SafetensorsFile {
public:
    explicit SafetensorsFile(std::filesystem::path path);
    [[nodiscard]] const SafetensorsEntries& tensors() const { return tensors_; }
    [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }
    [[nodiscard]] const RandomAccessFile& file() const { return file_; }

private:
    void parse_header();
    RandomAccessFile file_;
    SafetensorsEntries tensors_;
    std::map<std::string, std::string> metadata_;
};

/// The tensors of a directory: `model.safetensors`, or the shards of `model.safetensors.index.json`, or
/// `adapter_model.safetensors`; or of one `.safetensors` file. Const calls may come from several threads.
class SafetensorsModel {
public:
    explicit SafetensorsModel(std::filesystem::path directory_or_file);

    [[nodiscard]] const SafetensorsEntries& tensors() const { return tensors_; }
    [[nodiscard]] bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
    /// Throws Input if the model has no such tensor or tandem cannot use it.
    [[nodiscard]] const SafetensorsEntry& at(std::string_view name) const;

    /// Bytes [byte_offset, byte_offset + target.size()) of the tensor as stored, also of one that tandem cannot use.
    void read(std::string_view name, std::uint64_t byte_offset, std::span<std::byte> target) const;
    /// Rows [first, last) of the first dimension, contiguous, converted to `dtype`, through at most 4 MiB of staging.
    void read_rows(std::string_view name, std::int64_t first, std::int64_t last, DType dtype, void* target) const;
    /// Columns [first_column, last_column) of rows [first_row, last_row) of a matrix, contiguous in `target`, through bounded staging.
    /// Reads only the columns' bytes where that leaves out at least kSkippedBytes of every row, else whole rows.
    void read_box(std::string_view name, std::int64_t first_row, std::int64_t last_row, std::int64_t first_column, std::int64_t last_column,
                  DType dtype, void* target) const;

    static constexpr std::uint64_t kSkippedBytes = 4096;  ///< a page: skipping less saves no reading

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] const std::filesystem::path& file_of(std::string_view name) const { return files_[entry(name).file]->file().path(); }
    [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return files_.front()->metadata(); }  ///< of the first shard
    [[nodiscard]] std::uint64_t bytes_read() const;  ///< of tensor data and headers, so far

private:
    [[nodiscard]] const SafetensorsEntry& entry(std::string_view name) const;
    void check_conversion(std::string_view name, DType stored, DType dtype) const;
    void read_columns(std::string_view name, std::int64_t first_row, std::int64_t last_row, std::int64_t first_column,
                      std::int64_t last_column, DType dtype, std::byte* target) const;
    void open_file(const std::filesystem::path& file);
    void open_index(const std::filesystem::path& index);
    std::filesystem::path path_;
    std::vector<std::unique_ptr<SafetensorsFile>> files_;
    SafetensorsEntries tensors_;
};

}  // namespace tandem
