// The element types of the safetensors format. Private to src/io.
#pragma once

#include <optional>
#include <string_view>

#include "kernels/base/dtype.h"

namespace tandem::io_detail {

struct SafetensorsType {
    std::string_view name;
    std::size_t bits;
    std::optional<DType> dtype;
};

/// In ascending order of the format's own sorting (the safetensors library writes larger ones first, for alignment).
inline constexpr SafetensorsType kSafetensorsTypes[] = {
    {"BOOL", 8, {}},         {"F4", 4, {}},           {"F6_E2M3", 6, {}},        {"F6_E3M2", 6, {}},      {"U8", 8, DType::U8},
    {"I8", 8, {}},           {"F8_E5M2", 8, {}},      {"F8_E4M3", 8, {}},        {"F8_E8M0", 8, {}},      {"I16", 16, {}},
    {"U16", 16, {}},         {"F16", 16, DType::F16}, {"BF16", 16, DType::BF16}, {"I32", 32, DType::I32}, {"U32", 32, {}},
    {"F32", 32, DType::F32}, {"C64", 64, {}},         {"F64", 64, DType::F64},   {"I64", 64, DType::I64}, {"U64", 64, {}},
};

inline const SafetensorsType* find_safetensors_type(std::string_view name) {
    for (const auto& type : kSafetensorsTypes) {
        if (type.name == name) return &type;
    }
    return nullptr;
}

inline const SafetensorsType& safetensors_type(DType dtype) {
    const auto* type = kSafetensorsTypes;
    while (type->dtype != dtype) ++type;
    return *type;
}

inline constexpr std::size_t kLargestSafetensorsHeader = 100'000'000;  // the library's own bound

}  // namespace tandem::io_detail
