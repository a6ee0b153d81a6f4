#include "src/io/ggml_blocks.h"

#include <array>
#include <cstring>

#include "src/io/convert.h"

namespace tandem {

namespace {

struct Numbered {
    std::uint32_t number;
    GgmlBlock block;
};

constexpr Numbered kBlocks[] = {
    {0, {"F32", 1, 4, true}},          {1, {"F16", 1, 2, true}},          {2, {"Q4_0", 32, 18, true}},
    {3, {"Q4_1", 32, 20, true}},       {6, {"Q5_0", 32, 22, true}},       {7, {"Q5_1", 32, 24, true}},
    {8, {"Q8_0", 32, 34, true}},       {9, {"Q8_1", 32, 36, false}},      {10, {"Q2_K", 256, 84, true}},
    {11, {"Q3_K", 256, 110, true}},    {12, {"Q4_K", 256, 144, true}},    {13, {"Q5_K", 256, 176, true}},
    {14, {"Q6_K", 256, 210, true}},    {15, {"Q8_K", 256, 292, false}},   {16, {"IQ2_XXS", 256, 66, false}},
    {17, {"IQ2_XS", 256, 74, false}},  {18, {"IQ3_XXS", 256, 98, false}}, {19, {"IQ1_S", 256, 50, false}},
    {20, {"IQ4_NL", 32, 18, false}},   {21, {"IQ3_S", 256, 110, false}},  {22, {"IQ2_S", 256, 82, false}},
    {23, {"IQ4_XS", 256, 136, false}}, {24, {"I8", 1, 1, false}},         {25, {"I16", 1, 2, false}},
    {26, {"I32", 1, 4, false}},        {27, {"I64", 1, 8, false}},        {28, {"F64", 1, 8, true}},
    {29, {"IQ1_M", 256, 56, false}},   {30, {"BF16", 1, 2, true}},        {34, {"TQ1_0", 256, 54, false}},
    {35, {"TQ2_0", 256, 66, false}},   {39, {"MXFP4", 32, 17, false}},
};

using Byte = std::uint8_t;

float half_at(const Byte* p) {
    Float16 h;
    std::memcpy(&h.bits, p, sizeof(h.bits));
    return static_cast<float>(h);
}

float number(int x) { return static_cast<float>(x); }

// Products of an fp16 scale and small integers are exact in fp32, so that contracting a multiply-add changes nothing.

/// Q4_0: fp16 d; 16 bytes, element i in the low nibble of byte i, element i + 16 in the high one. x = d (q - 8).
void q4_0(const Byte* b, float* x) {
    const float d = half_at(b);
    for (int i = 0; i < 16; ++i) {
        x[i] = d * number((b[2 + i] & 15) - 8);
        x[i + 16] = d * number((b[2 + i] >> 4) - 8);
    }
}

/// Q4_1: fp16 d, fp16 m; nibbles as Q4_0. x = d q + m.
void q4_1(const Byte* b, float* x) {
    const float d = half_at(b), m = half_at(b + 2);
    for (int i = 0; i < 16; ++i) {
        x[i] = d * number(b[4 + i] & 15) + m;
        x[i + 16] = d * number(b[4 + i] >> 4) + m;
    }
}

/// Fifth bits: a 32-bit word, bit i for element i.
int fifth_bit(std::uint32_t word, int i) { return static_cast<int>((word >> static_cast<unsigned>(i)) & 1U) << 4; }

/// Q5_0: fp16 d, 32 fifth bits, nibbles as Q4_0. x = d (q - 16).
void q5_0(const Byte* b, float* x) {
    const float d = half_at(b);
    std::uint32_t high = 0;
    std::memcpy(&high, b + 2, sizeof(high));
    for (int i = 0; i < 16; ++i) {
        x[i] = d * number(((b[6 + i] & 15) | fifth_bit(high, i)) - 16);
        x[i + 16] = d * number(((b[6 + i] >> 4) | fifth_bit(high, i + 16)) - 16);
    }
}

/// Q5_1: fp16 d, fp16 m, 32 fifth bits, nibbles as Q4_0. x = d q + m.
void q5_1(const Byte* b, float* x) {
    const float d = half_at(b), m = half_at(b + 2);
    std::uint32_t high = 0;
    std::memcpy(&high, b + 4, sizeof(high));
    for (int i = 0; i < 16; ++i) {
        x[i] = d * number((b[8 + i] & 15) | fifth_bit(high, i)) + m;
        x[i + 16] = d * number((b[8 + i] >> 4) | fifth_bit(high, i + 16)) + m;
    }
}

/// Q8_0: fp16 d, 32 signed bytes. x = d q.
void q8_0(const Byte* b, float* x) {
    const float d = half_at(b);
    for (int i = 0; i < 32; ++i) x[i] = d * number(static_cast<std::int8_t>(b[2 + i]));
}

/// Q2_K: 16 bytes (low nibble scale, high nibble minimum, of 16 elements each), 64 bytes of 2-bit q, fp16 d, fp16 dmin.
/// Byte 32 h + l holds elements 128 h + 32 j + l at bit 2 j. x = d s q - dmin m.
void q2_k(const Byte* b, float* x) {
    const float d = half_at(b + 80), dmin = half_at(b + 82);
    for (int i = 0; i < 256; ++i) {
        const int half = i / 128, plane = i % 128 / 32, lane = i % 32;
        const int q = (b[16 + 32 * half + lane] >> (2 * plane)) & 3;
        const Byte scale = b[i / 16];
        x[i] = (d * number(scale & 15)) * number(q) - dmin * number(scale >> 4);
    }
}

/// Q3_K: 32 bytes of third bits (bit 4 h + j of byte l for element 128 h + 32 j + l; set means q is not lowered by 4), 64 bytes
/// of 2-bit q as Q2_K, 12 bytes of sixteen 6-bit scales offset by 32, fp16 d. x = d (s - 32) q.
void q3_k(const Byte* b, float* x) {
    const float d = half_at(b + 108);
    const Byte* packed = b + 96;
    for (int i = 0; i < 256; ++i) {
        const int half = i / 128, plane = i % 128 / 32, lane = i % 32, group = i / 16;
        const int low = (b[32 + 32 * half + lane] >> (2 * plane)) & 3;
        const int q = low - (((b[lane] >> (4 * half + plane)) & 1) != 0 ? 0 : 4);
        const int scale_low = group < 8 ? packed[group] & 15 : packed[group - 8] >> 4;
        const int scale_high = (packed[8 + group % 4] >> (2 * (group / 4))) & 3;
        x[i] = (d * number((scale_low | (scale_high << 4)) - 32)) * number(q);
    }
}

struct ScaleMin {
    int scale, min;
};

/// Eight 6-bit scales and minima in 12 bytes (Q4_K, Q5_K): the first four in bytes 0-3 and 4-7; the others' low nibbles in bytes
/// 8-11 and their upper two bits on top of bytes 0-3 and 4-7.
ScaleMin scale_min(const Byte* p, int group) {
    if (group < 4) return {p[group] & 63, p[group + 4] & 63};
    return {(p[group + 4] & 15) | ((p[group - 4] >> 6) << 4), (p[group + 4] >> 4) | ((p[group] >> 6) << 4)};
}

/// Q4_K: fp16 d, fp16 dmin, 12 bytes of scales, 128 bytes: byte 32 j + l holds elements 64 j + l (low nibble) and 64 j + 32 + l.
/// x = d s q - dmin m.
void q4_k(const Byte* b, float* x) {
    const float d = half_at(b), dmin = half_at(b + 2);
    for (int group = 0; group < 8; ++group) {
        const auto [scale, min] = scale_min(b + 4, group);
        const float ds = d * number(scale), m = dmin * number(min);
        const Byte* q = b + 16 + 32 * (group / 2);
        for (int l = 0; l < 32; ++l) x[32 * group + l] = ds * number((q[l] >> (4 * (group % 2))) & 15) - m;
    }
}

/// Q5_K: as Q4_K with 32 bytes of fifth bits before the nibbles: bit `group` of byte l.
void q5_k(const Byte* b, float* x) {
    const float d = half_at(b), dmin = half_at(b + 2);
    for (int group = 0; group < 8; ++group) {
        const auto [scale, min] = scale_min(b + 4, group);
        const float ds = d * number(scale), m = dmin * number(min);
        const Byte* q = b + 48 + 32 * (group / 2);
        for (int l = 0; l < 32; ++l) {
            const int high = (b[16 + l] >> group) & 1;
            x[32 * group + l] = ds * number(((q[l] >> (4 * (group % 2))) & 15) | (high << 4)) - m;
        }
    }
}

/// Q6_K: 128 bytes of low nibbles, 64 bytes of upper 2 bits, 16 signed scales, fp16 d. In each half of 128 elements, element
/// 32 j + l has its nibble in byte 32 (j % 2) + l (high for j >= 2) and its upper bits in byte l at bit 2 j. x = d s (q - 32).
void q6_k(const Byte* b, float* x) {
    const float d = half_at(b + 208);
    for (int i = 0; i < 256; ++i) {
        const int half = i / 128, plane = i % 128 / 32, lane = i % 32;
        const int low = (b[64 * half + 32 * (plane % 2) + lane] >> (4 * (plane / 2))) & 15;
        const int high = (b[128 + 32 * half + lane] >> (2 * plane)) & 3;
        x[i] = (d * number(static_cast<std::int8_t>(b[192 + i / 16]))) * number((low | (high << 4)) - 32);
    }
}

using Decode = void (*)(const Byte*, float*);

Decode decoder(GgmlType type) {
    switch (type) {
        case GgmlType::Q4_0: return q4_0;
        case GgmlType::Q4_1: return q4_1;
        case GgmlType::Q5_0: return q5_0;
        case GgmlType::Q5_1: return q5_1;
        case GgmlType::Q8_0: return q8_0;
        case GgmlType::Q2_K: return q2_k;
        case GgmlType::Q3_K: return q3_k;
        case GgmlType::Q4_K: return q4_k;
        case GgmlType::Q5_K: return q5_k;
        case GgmlType::Q6_K: return q6_k;
        default: return nullptr;
    }
}

}  // namespace

const GgmlBlock* find_ggml_block(GgmlType type) {
    for (const auto& [number_in_file, block] : kBlocks) {
        if (number_in_file == static_cast<std::uint32_t>(type)) return &block;
    }
    return nullptr;
}

const GgmlBlock& ggml_block(GgmlType type) {
    const auto* block = find_ggml_block(type);
    require(block != nullptr, "ggml type {} does not exist", static_cast<std::uint32_t>(type));
    return *block;
}

std::string decodable_ggml_types() {
    std::string names;
    for (const auto& [number_in_file, block] : kBlocks) {
        if (block.decodable) names += (names.empty() ? "" : " ") + std::string(block.name);
    }
    return names;
}

void dequantize(GgmlType type, std::span<const std::byte> blocks, std::span<float> values) {
    const auto& block = ggml_block(type);
    const auto count = blocks.size() / block.bytes;
    require(count * block.bytes == blocks.size() && count * block.elements == values.size(), "{} bytes of {} do not give {} elements",
            blocks.size(), block.name, values.size());
    switch (type) {
        case GgmlType::F32: return convert_elements(DType::F32, blocks.data(), DType::F32, values.data(), count);
        case GgmlType::F16: return convert_elements(DType::F16, blocks.data(), DType::F32, values.data(), count);
        case GgmlType::BF16: return convert_elements(DType::BF16, blocks.data(), DType::F32, values.data(), count);
        case GgmlType::F64: return convert_elements(DType::F64, blocks.data(), DType::F32, values.data(), count);
        default: break;
    }
    const auto decode = decoder(type);
    require(decode != nullptr, "blocks of {} cannot be decoded", block.name);
    const auto* bytes = reinterpret_cast<const Byte*>(blocks.data());
    for (std::size_t i = 0; i < count; ++i) decode(bytes + i * block.bytes, values.data() + i * block.elements);
}

}  // namespace tandem
