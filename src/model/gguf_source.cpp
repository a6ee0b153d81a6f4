#include "src/model/gguf_source.h"

#include <algorithm>

#include "src/io/convert.h"
#include "src/io/model_directory.h"

namespace tandem {
namespace {

constexpr std::int64_t kStagingElements = std::int64_t{2} << 20;  ///< fp32: 8 MiB

}  // namespace

void GgufSource::check(const ParamTable& table, bool adapter) const {
    for (const Parameter& p : table) {
        if (is_adapter_tensor(p.name) != adapter) continue;
        const GgufTensors::Tensor* tensor = tensors_.find(p.name);
        if (tensor == nullptr) fail(Failure::Input, "{}: the model has no tensor '{}'", tensors_.path().string(), p.name);
        if (tensor->shape == p.global) continue;
        fail(Failure::Input, "{}: tensor '{}' is {}, its metadata expects {}", tensors_.path().string(), tensor->stored,
             tensor->shape.str(), p.global.str());
    }
}

void GgufSource::read(const Parameter& p, const Box& box, DType dtype, std::byte* out) const {
    const bool matrix = box.shape.dims() == 2;
    const std::int64_t columns = matrix ? p.global[1] : 1, left = matrix ? box.offset[1] : 0, width = matrix ? box.shape[1] : 1;
    const std::int64_t step = std::max<std::int64_t>(1, kStagingElements / columns), end = box.offset[0] + box.shape[0];
    std::vector<float> rows;  // whole ones: their blocks run along them
    for (std::int64_t first = box.offset[0]; first < end; first += step) {
        const std::int64_t last = std::min(end, first + step);
        rows.resize(static_cast<std::size_t>((last - first) * columns));
        tensors_.read_rows(p.name, first, last, rows);
        for (std::int64_t row = 0; row < last - first; ++row) {
            const auto n = static_cast<std::size_t>(width);
            convert_elements(DType::F32, rows.data() + row * columns + left, dtype, out, n);
            if (const auto bad = first_non_finite(dtype, out, width); bad >= 0) {
                refuse_stored(fmt::format("{}: tensor '{}'", tensors_.path().string(), tensors_.find(p.name)->stored),
                              (first + row) * columns + left + bad,
                              static_cast<double>(rows[static_cast<std::size_t>(row * columns + left + bad)]), dtype, kTypeOption);
            }
            out += n * size_of(dtype);
        }
    }
}

std::vector<std::string> GgufSource::unused(const ParamTable& table) const {
    std::vector<std::string> names;
    for (const auto& tensor : tensors_.tensors()) {
        if (std::ranges::find(table, tensor.name, &Parameter::name) == table.end()) names.push_back(tensor.stored);
    }
    return names;
}

std::unique_ptr<StoredSource> open_model_weights(const std::filesystem::path& model) {
    if (is_gguf(model)) return std::make_unique<GgufSource>(model);
    return std::make_unique<FileSource>(model);
}

}  // namespace tandem
