#include "src/io/bitsandbytes_model.h"

#include <algorithm>
#include <cmath>

#include "kernels/quant/dynamic_map.h"
#include "kernels/quant/four_bit.h"

namespace tandem {

namespace suffix = four_bit_suffix;

namespace {

constexpr std::int64_t kStagingBytes = std::int64_t{1} << 22;
constexpr std::uint64_t kLargestState = 1 << 16;

std::string joined(std::string_view matrix, std::string_view end) { return std::string(matrix) + std::string(end); }

}  // namespace

FourBitTensors::FourBitTensors(const SafetensorsModel& model) : model_(model) {
    for (const auto& [name, entry] : model.tensors()) {
        if (name.find(suffix::kState) != std::string::npos) add(name);
        if (name.ends_with(".SCB") || name.ends_with(".weight_format")) {
            wrong(name,
                  "belongs to weights in eight bits (LLM.int8), which tandem does not read; expected bitsandbytes' four bits (nf4, fp4) "
                  "or a model that is not quantised");
        }
    }
    for (const auto& [name, entry] : model.tensors()) {
        if (name.ends_with(suffix::kAbsmax) && !is_companion(name))
            wrong(name, fmt::format("has no '{}{}' beside it", name.substr(0, name.size() - suffix::kAbsmax.size()), suffix::kState));
    }
}

void FourBitTensors::wrong(std::string_view tensor, const std::string& what) const {
    const std::string file = model_.contains(tensor) ? model_.file_of(tensor).string() : model_.path().string();
    fail(Failure::Input, "{}: tensor '{}' {}", file, tensor, what);
}

void FourBitTensors::add(const std::string& state_name) {
    const auto at = state_name.find(suffix::kState);
    const std::string matrix = state_name.substr(0, at), type_name = state_name.substr(at + suffix::kState.size());
    const FourBit types[] = {FourBit::NF4, FourBit::FP4};
    const auto* type = std::ranges::find(types, type_name, [](FourBit t) { return name(t); });
    if (type == std::end(types)) wrong(state_name, "ends neither in nf4 nor in fp4");
    if (matrices_.contains(matrix)) wrong(matrix, "has two quant states");
    const auto& entry = model_.at(state_name);
    if (entry.dtype != DType::U8 || entry.bytes > kLargestState) wrong(state_name, "is not a short text in uint8");
    std::string text(entry.bytes, '\0');
    model_.read(state_name, 0, std::as_writable_bytes(std::span(text)));
    const auto state = parse_quant_state(text, *type, fmt::format("{}: tensor '{}'", model_.file_of(state_name).string(), state_name));
    const FourBitLayout& layout = state.layout;
    check_codes(matrix, layout);
    check_size(matrix, suffix::kAbsmax, layout.double_quant ? DType::U8 : DType::F32, layout.blocks());
    check_size(matrix, suffix::kMap, DType::F32, 16);
    if (layout.double_quant) {
        check_size(matrix, suffix::kNestedAbsmax, DType::F32, layout.groups());
        check_size(matrix, suffix::kNestedMap, DType::F32, 256);
    }
    matrices_[matrix] = layout;
    offsets_[matrix] = state.offset;
    for (const auto end : {suffix::kAbsmax, suffix::kMap, suffix::kNestedAbsmax, suffix::kNestedMap})
        if (const auto name = joined(matrix, end); model_.contains(name)) companions_[name] = matrix;
    companions_[state_name] = matrix;
}

void FourBitTensors::check_codes(const std::string& matrix, const FourBitLayout& layout) const {
    if (!model_.contains(matrix)) wrong(matrix, "is missing, though its quant state is there");
    const auto& entry = model_.tensors().find(matrix)->second;
    const bool storage = entry.type == "U8" || entry.type == "I8" || (entry.refused.empty() && is_float(entry.dtype));
    if (!storage) wrong(matrix, fmt::format("has type {}, which bitsandbytes does not keep codes in", entry.type));
    const Shape& s = entry.shape;
    const auto bytes = static_cast<std::uint64_t>(layout.code_bytes());
    if (entry.bytes != bytes || s.dims() != 2 || (s[0] != 1 && s[1] != 1)) {
        wrong(matrix, fmt::format("is {} of type {}, expected {} bytes in one column: codes of a matrix {}", s.str(), entry.type, bytes,
                                  layout.shape.str()));
    }
}

void FourBitTensors::check_size(const std::string& matrix, std::string_view end, DType dtype, std::int64_t elements) const {
    const auto tensor = joined(matrix, end);
    if (!model_.contains(tensor)) wrong(tensor, "is missing, though the quant state beside it is there");
    const auto& entry = model_.at(tensor);
    if (entry.dtype == dtype && entry.shape.elements() == elements) return;
    wrong(tensor, fmt::format("is {} {}, expected {} [{}]", name(entry.dtype), entry.shape.str(), name(dtype), elements));
}

const FourBitLayout* FourBitTensors::find(std::string_view matrix) const {
    const auto found = matrices_.find(matrix);
    return found == matrices_.end() ? nullptr : &found->second;
}

void FourBitTensors::read_codes(std::string_view matrix, std::int64_t first, std::span<std::uint8_t> out) const {
    model_.read(matrix, static_cast<std::uint64_t>(first), std::as_writable_bytes(out));
}

std::vector<float> FourBitTensors::read_floats(const std::string& tensor, std::int64_t n) const {
    std::vector<float> values(static_cast<std::size_t>(n));
    model_.read(tensor, 0, std::as_writable_bytes(std::span(values)));
    const auto bad = std::ranges::find_if_not(values, [](float x) { return std::isfinite(x); });
    if (bad != values.end()) wrong(tensor, fmt::format("has a non-finite element at index {}", bad - values.begin()));
    return values;
}

void FourBitTensors::check_map(const std::string& tensor, std::span<const float> expected) const {
    const auto found = read_floats(tensor, static_cast<std::int64_t>(expected.size()));
    const auto [there, here] = std::ranges::mismatch(found, expected);
    if (there == found.end()) return;
    wrong(tensor, fmt::format("has {} at index {}, where bitsandbytes' map has {}: codes of another map are not supported", *there,
                              there - found.begin(), *here));
}

BlockScales FourBitTensors::read_scales(std::string_view matrix) const {
    const FourBitLayout& layout = matrices_.find(matrix)->second;
    check_map(joined(matrix, suffix::kMap), stored_map(layout.type));
    const auto absmax = joined(matrix, suffix::kAbsmax);
    BlockScales scales;
    if (!layout.double_quant) {
        scales.absmax = read_floats(absmax, layout.blocks());
        return scales;
    }
    check_map(joined(matrix, suffix::kNestedMap), dynamic_map(Signedness::Signed));
    scales.codes.resize(static_cast<std::size_t>(layout.blocks()));
    model_.read(absmax, 0, std::as_writable_bytes(std::span(scales.codes)));
    scales.nested = read_floats(joined(matrix, suffix::kNestedAbsmax), layout.groups());
    scales.offset = offsets_.find(matrix)->second;
    return scales;
}

std::shared_ptr<const std::vector<float>> FourBitTensors::scales(std::string_view matrix) const {
    const std::lock_guard lock(mutex_);
    if (scales_of_ != matrix) {
        const auto read = read_scales(matrix);
        scales_ = std::make_shared<const std::vector<float>>(read.double_quantized() ? dequantize_scales(read) : read.absmax);
        scales_of_ = matrix;
    }
    return scales_;
}

void FourBitTensors::read_box(std::string_view matrix, std::int64_t first_row, std::int64_t last_row, std::int64_t first_column,
                              std::int64_t last_column, float* out) const {
    const FourBitLayout& layout = matrices_.find(matrix)->second;
    const std::int64_t stride = layout.shape[1], width = last_column - first_column;
    require(0 <= first_row && first_row <= last_row && last_row <= layout.shape[0] && 0 <= first_column && first_column <= last_column &&
                last_column <= stride,
            "rows [{}, {}), columns [{}, {}) of matrix '{}' {}", first_row, last_row, first_column, last_column, matrix,
            layout.shape.str());
    if (first_row == last_row || width == 0) return;
    const auto absmax = scales(matrix);
    // One run of elements that follow one another in the matrix: all of the box, or a row of it.
    const bool whole = width == stride;
    const std::int64_t runs = whole ? 1 : last_row - first_row, length = whole ? (last_row - first_row) * width : width;
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(std::min(kStagingBytes, length / 2 + 1)));
    const std::int64_t most = 2 * static_cast<std::int64_t>(codes.size()) - 1;  // a run may begin in the middle of a byte
    for (std::int64_t run = 0; run < runs; ++run) {
        const std::int64_t begin = (first_row + run) * stride + first_column;
        for (std::int64_t first = begin; first < begin + length;) {
            const std::int64_t n = std::min(most, begin + length - first), byte = first / 2, last_byte = (first + n - 1) / 2;
            read_codes(matrix, byte, std::span(codes).first(static_cast<std::size_t>(last_byte - byte + 1)));
            dequantize_elements(layout, *absmax, codes.data(), 2 * byte, first, {out, static_cast<std::size_t>(n)});
            first += n, out += n;
        }
    }
}

}  // namespace tandem
