// Reading of GGUF files, versions 2 and 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): typed metadata and
// tensors of ggml blocks. Only the header and the byte ranges asked for are read.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/base/tensor.h"
#include "src/io/files.h"
#include "src/io/ggml_blocks.h"

namespace tandem {

/// A metadata value. Unsigned and signed integers of all widths, and both floating-point types, are widened.
struct GgufValue {
    using Array = std::vector<GgufValue>;
    std::variant<std::uint64_t, std::int64_t, double, bool, std::string, Array> value;
    bool is_float32 = false;  ///< the double was a float in the file
};

struct GgufTensor {
    std::string name;
    GgmlType type = GgmlType::F32;
    Shape shape;               ///< outermost first (the file has them innermost first)
    std::uint64_t offset = 0;  ///< from the start of the file, bytes
    std::uint64_t bytes = 0;
    [[nodiscard]] std::int64_t rows() const { return shape.dims() <= 1 ? 1 : shape.elements() / shape[shape.dims() - 1]; }
    [[nodiscard]] std::int64_t row_elements() const { return shape.dims() == 0 ? 1 : shape[shape.dims() - 1]; }
};

/// The constructor reads and validates the header; throws Configuration if the file does not exist, Input naming file and key or
/// tensor for anything wrong in it.
class GgufFile {
public:
    explicit GgufFile(std::filesystem::path path);

    [[nodiscard]] const std::filesystem::path& path() const { return file_.path(); }
    [[nodiscard]] const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }
    [[nodiscard]] const std::vector<GgufTensor>& tensors() const { return tensors_; }
    [[nodiscard]] const GgufTensor* find_tensor(std::string_view name) const;

    // Metadata by key; absent gives nothing, another type is Input naming file and key.
    [[nodiscard]] const GgufValue* find(std::string_view key) const;
    [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key) const;
    [[nodiscard]] std::optional<double> number(std::string_view key) const;  ///< a float32 gives the shortest decimal that rounds to it
    [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
    [[nodiscard]] std::optional<std::string> text(std::string_view key) const;
    [[nodiscard]] std::optional<std::vector<std::string>> texts(std::string_view key) const;
    [[nodiscard]] std::optional<std::vector<std::int64_t>> integers(std::string_view key) const;
    [[nodiscard]] std::optional<std::vector<double>> numbers(std::string_view key) const;

    /// Rows [first, last) of a tensor seen as rows() x row_elements(), as fp32. Input if its blocks cannot be decoded.
    void read_rows(const GgufTensor& tensor, std::int64_t first, std::int64_t last, std::span<float> values) const;
    [[nodiscard]] std::uint64_t bytes_read() const { return file_.bytes_read(); }

private:
    [[noreturn]] void wrong_type(std::string_view key, std::string_view wanted) const;
    RandomAccessFile file_;
    std::map<std::string, GgufValue, std::less<>> metadata_;
    std::vector<GgufTensor> tensors_;
    std::map<std::string, std::size_t, std::less<>> index_;
};

}  // namespace tandem
