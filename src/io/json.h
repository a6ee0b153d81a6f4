// JSON files: read with the place of an error, members taken with their file and key named, numbers written so that they round-trip.
#pragma once

#include <cmath>
#include <concepts>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/base/error.h"

namespace tandem {

using Json = nlohmann::json;

/// Parses one JSON text. `source` is what messages call it. Throws Input naming source, line and column; `first_line` is the
/// number of the text's first line (a line of a JSONL file is parsed on its own).
[[nodiscard]] Json parse_json(std::string_view text, const std::string& source, std::size_t first_line = 1);

/// Throws Configuration if the file does not exist or cannot be read, Input for what is inside it.
[[nodiscard]] Json read_json_file(const std::filesystem::path& file);

/// Shortest digits that give the same double again; non-finite numbers become null, invalid UTF-8 becomes U+FFFD.
/// `indent` < 0: one line.
[[nodiscard]] std::string dump_json(const Json& json, int indent = -1);

/// dump_json with two spaces and a last newline, written atomically (files.h).
void write_json_file(const std::filesystem::path& file, const Json& json);

namespace json_detail {

[[noreturn]] void wrong_type(const Json& found, std::string_view key, const std::string& file, std::string_view wanted);
[[noreturn]] void missing(std::string_view key, const std::string& file, std::string_view wanted);
void require_object(const Json& object, std::string_view key, const std::string& file);

template <class T>
constexpr std::string_view type_name() {
    if constexpr (std::is_same_v<T, bool>) return "true or false";
    else if constexpr (std::is_unsigned_v<T>) return "an integer >= 0";
    else if constexpr (std::is_integral_v<T>) return "an integer";
    else if constexpr (std::is_floating_point_v<T>) return "a number";
    else if constexpr (std::is_same_v<T, std::string>) return "a string";
    else return "a value of another type";
}

/// nlohmann's own conversions turn 1.5 into 1 and -1 into 2^64 - 1; here a number must be representable.
template <class T>
T convert(const Json& value, std::string_view key, const std::string& file) {
    if constexpr (std::is_same_v<T, Json>) {
        return value;
    } else if constexpr (std::is_same_v<T, bool>) {
        if (value.is_boolean()) return value.get<bool>();
    } else if constexpr (std::is_integral_v<T>) {
        if (value.is_number_unsigned()) {
            const auto n = value.get<std::uint64_t>();
            if (n <= static_cast<std::uint64_t>(std::numeric_limits<T>::max())) return static_cast<T>(n);
        } else if (value.is_number_integer()) {
            const auto n = value.get<std::int64_t>();
            if constexpr (std::is_signed_v<T>) {
                if (n >= std::numeric_limits<T>::min() && n <= std::numeric_limits<T>::max()) return static_cast<T>(n);
            }
        } else if (value.is_number_float()) {
            const auto x = value.get<double>();  // 8192.0 is an integer to Python's writers
            if (x == std::floor(x) && std::abs(x) < 0x1p53 && x >= static_cast<double>(std::numeric_limits<T>::min()) &&
                x <= static_cast<double>(std::numeric_limits<T>::max())) {
                return static_cast<T>(x);
            }
        }
    } else if constexpr (std::is_floating_point_v<T>) {
        if (value.is_number()) return value.get<T>();
    } else if constexpr (std::is_same_v<T, std::string>) {
        if (value.is_string()) return value.get<std::string>();
    } else {  // std::vector<U>
        if (value.is_array()) {
            T list;
            list.reserve(value.size());
            for (std::size_t i = 0; i < value.size(); ++i) {
                list.push_back(convert<typename T::value_type>(value[i], fmt::format("{}[{}]", key, i), file));
            }
            return list;
        }
        wrong_type(value, key, file, "an array");
    }
    wrong_type(value, key, file, type_name<T>());
}

}  // namespace json_detail

/// Member `key` of `object` as bool, an integer, a floating-point number, std::string, Json, or a std::vector of these.
/// Throws Input naming file and key if it is absent, null, or of another type.
template <class T>
[[nodiscard]] T get(const Json& object, std::string_view key, const std::filesystem::path& file) {
    json_detail::require_object(object, key, file.string());
    const auto found = object.find(std::string(key));
    if (found == object.end()) json_detail::missing(key, file.string(), json_detail::type_name<T>());
    return json_detail::convert<T>(*found, key, file.string());
}

/// The same; absent or null gives nothing. Templates throughout, because std::find, which argument-dependent lookup finds too,
/// would otherwise match as well: Json converts to anything.
template <class T, std::convertible_to<std::string_view> Key, class File>
[[nodiscard]] std::optional<T> find(const Json& object, const Key& key, const File& file) {
    const std::filesystem::path path(file);
    json_detail::require_object(object, key, path.string());
    const auto found = object.find(std::string(std::string_view(key)));
    if (found == object.end() || found->is_null()) return std::nullopt;
    return json_detail::convert<T>(*found, key, path.string());
}

/// The same; absent or null gives `fallback`.
template <class T>
[[nodiscard]] T get_or(const Json& object, std::string_view key, T fallback, const std::filesystem::path& file) {
    auto value = tandem::find<T>(object, key, file);
    return value ? std::move(*value) : std::move(fallback);
}

}  // namespace tandem
