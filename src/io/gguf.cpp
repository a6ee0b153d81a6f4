#include "src/io/gguf.h"

#include <charconv>
#include <cmath>

#include "src/io/gguf_header.h"

namespace tandem {

namespace {

/// 9.99999974e-06 in fp32 was written as 1e-05.
double shortest(double value) {
    if (!std::isfinite(value)) return value;
    char text[64];
    const auto end = std::to_chars(text, text + sizeof(text), static_cast<float>(value)).ptr;
    double result = 0;
    std::from_chars(text, end, result);
    return result;
}

std::optional<std::int64_t> as_integer(const GgufValue& v) {
    if (const auto* n = std::get_if<std::uint64_t>(&v.value); n != nullptr && *n <= static_cast<std::uint64_t>(INT64_MAX))
        return static_cast<std::int64_t>(*n);
    if (const auto* n = std::get_if<std::int64_t>(&v.value)) return *n;
    return std::nullopt;
}

std::optional<double> as_number(const GgufValue& v) {
    if (const auto* x = std::get_if<double>(&v.value)) return v.is_float32 ? shortest(*x) : *x;
    if (const auto n = as_integer(v)) return static_cast<double>(*n);
    return std::nullopt;
}

std::optional<bool> as_boolean(const GgufValue& v) {
    const auto* b = std::get_if<bool>(&v.value);
    return b != nullptr ? std::optional(*b) : std::nullopt;
}

std::optional<std::string> as_text(const GgufValue& v) {
    const auto* s = std::get_if<std::string>(&v.value);
    return s != nullptr ? std::optional(*s) : std::nullopt;
}

template <class T>
std::optional<std::vector<T>> as_list(const GgufValue& v, std::optional<T> (*convert)(const GgufValue&)) {
    const auto* array = std::get_if<GgufValue::Array>(&v.value);
    if (array == nullptr) return std::nullopt;
    std::vector<T> list;
    list.reserve(array->size());
    for (const auto& element : *array) {
        auto x = convert(element);
        if (!x) return std::nullopt;
        list.push_back(std::move(*x));
    }
    return list;
}

}  // namespace

GgufFile::GgufFile(std::filesystem::path path) : file_(std::move(path)) {
    auto header = io_detail::read_gguf_header(file_);
    metadata_ = std::move(header.metadata);
    tensors_ = std::move(header.tensors);
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
        if (!index_.emplace(tensors_[i].name, i).second)
            fail(Failure::Input, "{}: tensor '{}' is listed twice", file_.path().string(), tensors_[i].name);
    }
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &tensors_[found->second];
}

const GgufValue* GgufFile::find(std::string_view key) const {
    const auto found = metadata_.find(key);
    return found == metadata_.end() ? nullptr : &found->second;
}

void GgufFile::wrong_type(std::string_view key, std::string_view wanted) const {
    fail(Failure::Input, "{}: metadata key '{}' is not {}", file_.path().string(), key, wanted);
}

std::optional<std::int64_t> GgufFile::integer(std::string_view key) const {
    const auto* v = find(key);
    if (v == nullptr) return std::nullopt;
    const auto n = as_integer(*v);
    if (!n) wrong_type(key, "an integer");
    return n;
}

std::optional<double> GgufFile::number(std::string_view key) const {
    const auto* v = find(key);
    if (v == nullptr) return std::nullopt;
    const auto x = as_number(*v);
    if (!x) wrong_type(key, "a number");
    return x;
}

std::optional<bool> GgufFile::boolean(std::string_view key) const {
    const auto* v = find(key);
    if (v == nullptr) return std::nullopt;
    const auto b = as_boolean(*v);
    if (!b) wrong_type(key, "true or false");
    return b;
}

std::optional<std::string> GgufFile::text(std::string_view key) const {
    const auto* v = find(key);
    if (v == nullptr) return std::nullopt;
    auto s = as_text(*v);
    if (!s) wrong_type(key, "a string");
    return s;
}

std::optional<std::vector<std::string>> GgufFile::texts(std::string_view key) const {
    const auto* v = find(key);
    if (v == nullptr) return std::nullopt;
    auto list = as_list<std::string>(*v, as_text);
    if (!list) wrong_type(key, "an array of strings");
    return list;
}

std::optional<std::vector<std::int64_t>> GgufFile::integers(std::string_view key) const {
    const auto* v = find(key);
    if (v == nullptr) return std::nullopt;
    auto list = as_list<std::int64_t>(*v, as_integer);
    if (!list) wrong_type(key, "an array of integers");
    return list;
}

std::optional<std::vector<double>> GgufFile::numbers(std::string_view key) const {
    const auto* v = find(key);
    if (v == nullptr) return std::nullopt;
    auto list = as_list<double>(*v, as_number);
    if (!list) wrong_type(key, "an array of numbers");
    return list;
}

void GgufFile::read_rows(const GgufTensor& tensor, std::int64_t first, std::int64_t last, std::span<float> values) const {
    const auto& block = ggml_block(tensor.type);
    if (!block.decodable) {
        fail(Failure::Input, "{}: tensor '{}' is stored as {}, which is not supported; use a file of these types: {}",
             file_.path().string(), tensor.name, block.name, decodable_ggml_types());
    }
    require(0 <= first && first <= last && last <= tensor.rows(), "rows [{}, {}) of tensor '{}' {}", first, last, tensor.name,
            tensor.shape.str());
    const auto row_bytes = static_cast<std::uint64_t>(tensor.row_elements()) / block.elements * block.bytes;
    std::vector<std::byte> staging(static_cast<std::uint64_t>(last - first) * row_bytes);
    file_.read(tensor.offset + static_cast<std::uint64_t>(first) * row_bytes, staging);
    dequantize(tensor.type, staging, values);
}

}  // namespace tandem
