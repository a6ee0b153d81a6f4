#include "src/io/gguf_import.h"

#include <algorithm>

#include "src/io/convert.h"
#include "src/io/gguf_model.h"
#include "src/io/model_files.h"
#include "src/io/safetensors_writer.h"

namespace tandem {
namespace {

constexpr std::int64_t kPieceElements = std::int64_t{1} << 20;

/// Streams one tensor from the GGUF file into the writer.
class TensorCopy {
public:
    TensorCopy(const GgufTensors& source, SafetensorsModelWriter& writer, DType dtype) : source_(source), writer_(writer), dtype_(dtype) {}

    void run(const GgufTensors::Tensor& tensor) {
        const auto rows = tensor.shape[0], width = tensor.shape.elements() / rows;
        const auto piece = std::max<std::int64_t>(1, kPieceElements / width);
        for (std::int64_t first = 0; first < rows; first += piece) {
            const auto last = std::min(rows, first + piece);
            values_.resize(static_cast<std::size_t>((last - first) * width));
            source_.read_rows(tensor.name, first, last, values_);
            write(tensor, static_cast<std::uint64_t>(first * width));
        }
    }

private:
    void write(const GgufTensors::Tensor& tensor, std::uint64_t first_element) {
        converted_.resize(values_.size() * size_of(dtype_));
        convert_elements(DType::F32, values_.data(), dtype_, converted_.data(), values_.size());
        if (const auto bad = first_non_finite(dtype_, converted_.data(), static_cast<std::int64_t>(values_.size())); bad >= 0) {
            refuse_stored(fmt::format("{}: tensor '{}'", source_.path().string(), tensor.stored),
                          static_cast<std::int64_t>(first_element) + bad, static_cast<double>(values_[static_cast<std::size_t>(bad)]),
                          dtype_, "--dtype");
        }
        writer_.write(tensor.name, converted_, first_element * size_of(dtype_));
    }

    const GgufTensors& source_;
    SafetensorsModelWriter& writer_;
    DType dtype_;
    std::vector<float> values_;
    std::vector<std::byte> converted_;
};

ImportSummary write_model(const GgufTensors& source, const std::filesystem::path& directory, DType dtype) {
    std::vector<TensorSpec> specs;
    for (const auto& t : source.tensors()) specs.push_back({t.name, dtype, t.shape});
    SafetensorsModelWriter writer(directory, specs);
    TensorCopy copy(source, writer, dtype);
    ImportSummary summary;
    for (const auto& t : source.tensors()) {
        copy.run(t);
        summary.parameters += t.shape.elements();
        ++summary.tensors;
        ++summary.tensors_by_block_type[t.block_type];
    }
    writer.commit();
    return summary;
}

}  // namespace

ImportSummary import_gguf(const std::filesystem::path& file, const std::filesystem::path& directory, DType dtype) {
    require(dtype == DType::BF16 || dtype == DType::F16 || dtype == DType::F32, "import to {}", name(dtype));
    const GgufTensors source(file);
    require_unoccupied(directory);
    const GgufDescription description = describe_gguf(file, dtype);
    AtomicDirectory out(directory);
    for (const auto& [name, text] : description.texts) write_file_atomically(out.path() / name, text);
    auto summary = write_model(source, out.path(), dtype);
    summary.family = std::string(source.family());
    summary.tied = source.tied();
    summary.warnings = description.warnings;
    for (const auto& entry : std::filesystem::directory_iterator(out.path())) {
        summary.files.push_back(entry.path().filename().string());
        summary.bytes_written += entry.file_size();
    }
    std::sort(summary.files.begin(), summary.files.end());
    out.commit();
    return summary;
}

}  // namespace tandem
