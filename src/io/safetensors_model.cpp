#include <algorithm>
#include <cstring>

#include "src/io/convert.h"
#include "src/io/json.h"
#include "src/io/safetensors.h"

namespace tandem {

namespace {

constexpr std::size_t kStagingBytes = std::size_t{4} << 20U;

[[noreturn]] void no_weights(const std::filesystem::path& directory) {
    for (const auto* pickle : {"pytorch_model.bin", "pytorch_model.bin.index.json", "adapter_model.bin", "consolidated.00.pth"}) {
        if (std::filesystem::exists(directory / pickle)) {
            fail(Failure::Configuration,
                 "{}: its weights are in {}, a pickle, which is not loaded because it can execute code; save the model as safetensors",
                 directory.string(), pickle);
        }
    }
    fail(Failure::Configuration,
         "{}: no weights: neither model.safetensors, model.safetensors.index.json nor adapter_model.safetensors is there",
         directory.string());
}

}  // namespace

SafetensorsModel::SafetensorsModel(std::filesystem::path directory_or_file) : path_(std::move(directory_or_file)) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(path_, ignored)) {
        open_file(path_);  // says so if there is none
        return;
    }
    const auto single = path_ / "model.safetensors";
    const auto index = path_ / "model.safetensors.index.json";
    const auto adapter = path_ / "adapter_model.safetensors";
    if (std::filesystem::exists(single)) open_file(single);
    else if (std::filesystem::exists(index)) open_index(index);
    else if (std::filesystem::exists(adapter)) open_file(adapter);
    else no_weights(path_);
}

void SafetensorsModel::open_file(const std::filesystem::path& file) {
    files_.push_back(std::make_unique<SafetensorsFile>(file));
    tensors_ = files_.back()->tensors();
}

void SafetensorsModel::open_index(const std::filesystem::path& index) {
    const auto json = read_json_file(index);
    const auto weight_map = get<Json>(json, "weight_map", index);
    if (!weight_map.is_object() || weight_map.empty()) fail(Failure::Input, "{}: \"weight_map\" lists no tensors", index.string());
    std::map<std::string, std::size_t> shards;
    for (const auto& [tensor, value] : weight_map.items()) {
        const auto shard = get<std::string>(weight_map, tensor, index);
        if (shard.empty() || std::filesystem::path(shard).filename() != shard || shard == "..") {
            fail(Failure::Input, "{}: tensor '{}': '{}' is not the name of a file in this directory", index.string(), tensor, shard);
        }
        auto found = shards.find(shard);
        if (found == shards.end()) {
            if (!std::filesystem::exists(path_ / shard)) {
                fail(Failure::Input, "{}: tensor '{}' is said to be in {}, which does not exist: a part of the model is missing",
                     index.string(), tensor, shard);
            }
            found = shards.emplace(shard, files_.size()).first;
            files_.push_back(std::make_unique<SafetensorsFile>(path_ / shard));
        }
        const auto& there = files_[found->second]->tensors();
        const auto entry = there.find(tensor);
        if (entry == there.end())
            fail(Failure::Input, "{}: tensor '{}' is said to be in {}, but is not there", index.string(), tensor, shard);
        tensors_[tensor] = entry->second;
        tensors_[tensor].file = found->second;
    }
}

const SafetensorsEntry& SafetensorsModel::entry(std::string_view name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) fail(Failure::Input, "{}: the model has no tensor '{}'", path_.string(), name);
    return found->second;
}

const SafetensorsEntry& SafetensorsModel::at(std::string_view name) const {
    const auto& found = entry(name);
    if (!found.refused.empty()) fail(Failure::Input, "{}: tensor '{}' cannot be used: {}", path_.string(), name, found.refused);
    return found;
}

void SafetensorsModel::read(std::string_view name, std::uint64_t byte_offset, std::span<std::byte> target) const {
    const auto& stored = entry(name);
    require(byte_offset <= stored.bytes && target.size() <= stored.bytes - byte_offset, "bytes [{}, {}) of tensor '{}', which has {}",
            byte_offset, byte_offset + target.size(), name, stored.bytes);
    files_[stored.file]->file().read(stored.offset + byte_offset, target);
}

void SafetensorsModel::check_conversion(std::string_view name, DType stored, DType dtype) const {
    if (stored == dtype || (is_float(dtype) && is_float(stored))) return;
    fail(Failure::Input, "{}: tensor '{}' holds {}, but {} is needed", file_of(name).string(), name, tandem::name(stored),
         tandem::name(dtype));
}

void SafetensorsModel::read_rows(std::string_view name, std::int64_t first, std::int64_t last, DType dtype, void* target) const {
    const auto& entry = at(name);
    const auto rows = entry.shape.dims() == 0 ? 1 : entry.shape[0];
    require(0 <= first && first <= last && last <= rows, "rows [{}, {}) of tensor '{}' {}", first, last, name, entry.shape.str());
    if (first == last) return;
    const auto width = static_cast<std::size_t>(entry.shape.elements() / rows);
    const auto element = size_of(entry.dtype);
    auto begin = static_cast<std::uint64_t>(first) * width * element;
    auto remaining = static_cast<std::size_t>(last - first) * width;
    auto* out = static_cast<std::byte*>(target);
    if (dtype == entry.dtype) {
        read(name, begin, {out, remaining * element});
        return;
    }
    check_conversion(name, entry.dtype, dtype);
    std::vector<std::byte> staging(std::min(kStagingBytes, remaining * element));
    while (remaining > 0) {
        const auto n = std::min(remaining, staging.size() / element);
        read(name, begin, std::span(staging).first(n * element));
        convert_elements(entry.dtype, staging.data(), dtype, out, n);
        begin += n * element;
        out += n * size_of(dtype);
        remaining -= n;
    }
}

void SafetensorsModel::read_columns(std::string_view name, std::int64_t first_row, std::int64_t last_row, std::int64_t first_column,
                                    std::int64_t last_column, DType dtype, std::byte* target) const {
    const auto& entry = at(name);
    require(0 <= first_row && first_row <= last_row && last_row <= entry.shape[0], "rows [{}, {}) of tensor '{}' {}", first_row, last_row,
            name, entry.shape.str());
    check_conversion(name, entry.dtype, dtype);
    const auto stored = size_of(entry.dtype);
    const auto width = static_cast<std::size_t>(last_column - first_column);
    const auto piece = std::min(width, kStagingBytes / stored);
    std::vector<std::byte> staging(dtype == entry.dtype ? 0 : piece * stored);
    for (auto row = first_row; row < last_row; ++row) {
        auto from = static_cast<std::uint64_t>(row * entry.shape[1] + first_column) * stored;
        for (std::size_t done = 0; done < width; done += piece) {
            const auto n = std::min(piece, width - done);
            if (staging.empty()) {
                read(name, from, {target, n * stored});
            } else {
                read(name, from, std::span(staging).first(n * stored));
                convert_elements(entry.dtype, staging.data(), dtype, target, n);
            }
            from += n * stored;
            target += n * size_of(dtype);
        }
    }
}

void SafetensorsModel::read_box(std::string_view name, std::int64_t first_row, std::int64_t last_row, std::int64_t first_column,
                                std::int64_t last_column, DType dtype, void* target) const {
    const auto& entry = at(name);
    require(entry.shape.dims() == 2 && 0 <= first_column && first_column <= last_column && last_column <= entry.shape[1],
            "columns [{}, {}) of tensor '{}' {}", first_column, last_column, name, entry.shape.str());
    if (first_column == 0 && last_column == entry.shape[1]) return read_rows(name, first_row, last_row, dtype, target);
    const auto left_out = static_cast<std::uint64_t>(entry.shape[1] - (last_column - first_column)) * size_of(entry.dtype);
    if (left_out >= kSkippedBytes)
        return read_columns(name, first_row, last_row, first_column, last_column, dtype, static_cast<std::byte*>(target));
    const auto row_bytes = static_cast<std::size_t>(entry.shape[1]) * size_of(dtype);
    const auto start = static_cast<std::size_t>(first_column) * size_of(dtype);
    const auto width = static_cast<std::size_t>(last_column - first_column) * size_of(dtype);
    if (width == 0) return;
    const auto rows_at_once = std::max<std::int64_t>(1, static_cast<std::int64_t>(kStagingBytes / row_bytes));
    std::vector<std::byte> staging(static_cast<std::size_t>(std::min(rows_at_once, last_row - first_row)) * row_bytes);
    auto* out = static_cast<std::byte*>(target);
    for (auto row = first_row; row < last_row; row += rows_at_once) {
        const auto end = std::min(row + rows_at_once, last_row);
        read_rows(name, row, end, dtype, staging.data());
        for (std::int64_t i = 0; i < end - row; ++i, out += width)
            std::memcpy(out, staging.data() + static_cast<std::size_t>(i) * row_bytes + start, width);
    }
}

std::uint64_t SafetensorsModel::bytes_read() const {
    std::uint64_t n = 0;
    for (const auto& file : files_) n += file->file().bytes_read();
    return n;
}

}  // namespace tandem
