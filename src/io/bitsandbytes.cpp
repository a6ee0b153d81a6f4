#include "src/io/bitsandbytes.h"

#include <fmt/ranges.h>

#include <cmath>

#include "kernels/quant/four_bit.h"
#include "src/io/json.h"

namespace tandem {
namespace {

constexpr std::pair<DType, std::string_view> kTorchNames[] = {
    {DType::F64, "float64"}, {DType::F32, "float32"}, {DType::BF16, "bfloat16"}, {DType::F16, "float16"}};

DType parse_original(const Json& state, const std::string& where) {
    const auto name = get<std::string>(state, "dtype", where);
    for (const auto& [dtype, torch] : kTorchNames) {
        if (name == torch && dtype != DType::F64) return dtype;
    }
    fail(Failure::Input, "{}: key 'dtype' is \"{}\", expected \"bfloat16\", \"float16\" or \"float32\"", where, name);
}

Shape parse_shape(const Json& state, const std::string& where) {
    const auto extents = get<std::vector<std::int64_t>>(state, "shape", where);
    constexpr std::int64_t kMost = std::int64_t{1} << 31;
    const auto plausible = [](std::int64_t n) { return n > 0 && n < kMost; };
    if (extents.size() != 2 || !plausible(extents[0]) || !plausible(extents[1]))
        fail(Failure::Input, "{}: key 'shape' is [{}], expected the two extents of a matrix", where, fmt::join(extents, ", "));
    return {extents[0], extents[1]};
}

}  // namespace

std::string_view torch_name(DType dtype) {
    for (const auto& [known, torch] : kTorchNames) {
        if (known == dtype) return torch;
    }
    fail(Failure::Run, "torch_name() of {}", name(dtype));
}

std::string quant_state_text(const FourBitLayout& layout, float offset) {
    std::string text = fmt::format(R"({{"quant_type": "{}", "blocksize": {}, "dtype": "{}", "shape": [{}, {}])", name(layout.type),
                                   layout.block_size, torch_name(layout.original), layout.shape[0], layout.shape[1]);
    if (layout.double_quant) {
        text += fmt::format(R"(, "nested_blocksize": {}, "nested_dtype": "float32", "nested_offset": {})", BlockGrid::kNested,
                            dump_json(Json(static_cast<double>(offset))));
    }
    return text + "}";
}

QuantState parse_quant_state(std::string_view text, FourBit type, const std::string& where) {
    const Json state = parse_json(text, where);
    QuantState parsed;
    FourBitLayout& layout = parsed.layout;
    layout.type = type;
    const auto type_name = get<std::string>(state, "quant_type", where);
    if (type_name != name(type)) fail(Failure::Input, "{}: key 'quant_type' is \"{}\", expected \"{}\"", where, type_name, name(type));
    layout.block_size = get<std::int64_t>(state, "blocksize", where);
    if (!is_block_size(layout.block_size)) {
        fail(Failure::Input, "{}: key 'blocksize' is {}, expected a power of two from {} to {}", where, layout.block_size, kLeastBlock,
             kLargestBlock);
    }
    layout.original = parse_original(state, where);
    layout.shape = parse_shape(state, where);
    const auto nested = tandem::find<std::int64_t>(state, "nested_blocksize", where);
    layout.double_quant = nested.has_value();
    if (!nested) return parsed;
    if (*nested != BlockGrid::kNested)
        fail(Failure::Input, "{}: key 'nested_blocksize' is {}, expected {}", where, *nested, BlockGrid::kNested);
    const auto nested_type = get<std::string>(state, "nested_dtype", where);
    if (nested_type != "float32") fail(Failure::Input, "{}: key 'nested_dtype' is \"{}\", expected \"float32\"", where, nested_type);
    parsed.offset = static_cast<float>(get<double>(state, "nested_offset", where));
    if (!std::isfinite(parsed.offset)) fail(Failure::Input, "{}: key 'nested_offset' is {}, not finite in fp32", where, parsed.offset);
    return parsed;
}

std::array<float, 16> stored_map(FourBit type) {
    auto map = four_bit_values(type);
    for (float& x : map) x += 0.0F;
    return map;
}

std::vector<TensorSpec> four_bit_specs(const std::string& matrix, const FourBitLayout& layout) {
    namespace suffix = four_bit_suffix;
    const auto named = [&](std::string_view end) { return matrix + std::string(end); };
    std::vector<TensorSpec> specs = {{matrix, DType::U8, {layout.code_bytes(), 1}},
                                     {named(suffix::kAbsmax), layout.double_quant ? DType::U8 : DType::F32, {layout.blocks()}},
                                     {named(suffix::kMap), DType::F32, {16}}};
    if (layout.double_quant) {
        specs.push_back({named(suffix::kNestedAbsmax), DType::F32, {layout.groups()}});
        specs.push_back({named(suffix::kNestedMap), DType::F32, {256}});
    }
    // Shortest digits of a float as a double: a sign, 17 digits, a point, four of exponent.
    const auto most = quant_state_text(layout, 0).size() + 24;
    specs.push_back({.name = named(suffix::kState) + std::string(name(layout.type)),
                     .dtype = DType::U8,
                     .shape = {static_cast<std::int64_t>(most)},
                     .open = true});
    return specs;
}

void dequantize_elements(const FourBitLayout& layout, std::span<const float> absmax, const std::uint8_t* codes, std::int64_t base,
                         std::int64_t first, std::span<float> out) {
    const auto& values = four_bit_values(layout.type);
    std::int64_t i = first;
    for (float& x : out) {
        const unsigned pair = codes[(i - base) / 2];
        x = values[i % 2 == 0 ? pair >> 4U : pair & 15U] * absmax[static_cast<std::size_t>(i / layout.block_size)];
        ++i;
    }
}

}  // namespace tandem
