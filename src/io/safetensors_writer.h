// Writing of safetensors files, laid out as the safetensors library lays them out: header first, tensors by falling
// element size and then by name, header padded with spaces to 8 bytes.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/tensor.h"
#include "src/io/box_io.h"
#include "src/io/files.h"

namespace tandem {

struct TensorSpec {
    std::string name;
    DType dtype = DType::F32;
    Shape shape;
    /// The format's own name of the element type, where tandem has none for it: bytes that are copied as they are.
    std::string_view type = {};
    /// One dimension of uint8 that becomes known when it is written, by close(); `shape` is the most it can be. Such tensors lie last.
    bool open = false;
    [[nodiscard]] std::uint64_t bytes() const;
};

/// Where a declared tensor goes while its file has a temporary name, for other processes that write into it (see SharedFile).
struct TensorSlot {
    std::filesystem::path temporary, file;
    TensorPlace place;
};

using SafetensorsMetadata = std::map<std::string, std::string>;

/// One file. All tensors are declared first; their bytes come in any order; the file appears at commit().
class SafetensorsWriter {
public:
    SafetensorsWriter(std::filesystem::path file, std::vector<TensorSpec> tensors,
                      const SafetensorsMetadata& metadata = {{"format", "pt"}});

    /// Bytes of a declared tensor from `byte_offset` on. Every byte is written once; commit() checks the count.
    void write(const std::string& name, std::span<const std::byte> bytes, std::uint64_t byte_offset = 0);
    /// The whole of an open tensor.
    void close(const std::string& name, std::span<const std::byte> bytes);
    void commit();
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  ///< of the finished file; at most, until open tensors are closed
    [[nodiscard]] std::uint64_t data_bytes() const { return bytes_ - data_; }  ///< the same without the header

    [[nodiscard]] TensorSlot slot(const std::string& name) const;
    /// So many bytes of a declared tensor were written by other processes.
    void count(const std::string& name, std::uint64_t bytes);

private:
    struct Slot {
        std::uint64_t offset, bytes, written;
    };
    [[nodiscard]] const Slot& at(const std::string& name) const;
    [[nodiscard]] std::string header() const;
    void place_open_tensors();
    std::filesystem::path path_;
    AtomicFile file_;
    SafetensorsMetadata metadata_;
    std::vector<TensorSpec> tensors_;  ///< in the order of the file
    std::map<std::string, Slot> slots_;
    std::map<std::string, std::vector<std::byte>> closed_;  ///< what open tensors got
    std::uint64_t data_ = 0, bytes_ = 0;
};

/// A model directory's weights: `model.safetensors` (for another `stem`, that), or, where they exceed `max_shard_bytes` of tensor data,
/// `model-00001-of-0000N.safetensors` and `model.safetensors.index.json`, tensors in the order given.
class SafetensorsModelWriter {
public:
    SafetensorsModelWriter(const std::filesystem::path& directory, const std::vector<TensorSpec>& tensors,
                           std::uint64_t max_shard_bytes = 5'000'000'000, const SafetensorsMetadata& metadata = {{"format", "pt"}},
                           std::string stem = "model");
    void write(const std::string& name, std::span<const std::byte> bytes, std::uint64_t byte_offset = 0);
    void close(const std::string& name, std::span<const std::byte> bytes);  ///< see SafetensorsWriter
    void commit();
    [[nodiscard]] TensorSlot slot(const std::string& name) const;
    void count(const std::string& name, std::uint64_t bytes);
    [[nodiscard]] std::uint64_t bytes() const;
    [[nodiscard]] std::size_t shards() const { return shards_.size(); }

private:
    [[nodiscard]] SafetensorsWriter& shard_of(const std::string& name) const;
    std::filesystem::path directory_;
    std::string stem_;
    std::vector<std::unique_ptr<SafetensorsWriter>> shards_;
    std::vector<std::string> names_;
    std::map<std::string, std::size_t> shard_of_;
    std::uint64_t elements_ = 0;
};

}  // namespace tandem
