#include "src/io/safetensors_writer.h"

#include <algorithm>

#include "src/io/json.h"
#include "src/io/safetensors_types.h"

namespace tandem {

SafetensorsWriter::SafetensorsWriter(std::filesystem::path file, std::vector<TensorSpec> tensors, const SafetensorsMetadata& metadata)
    : path_(std::move(file)), file_(path_) {
    std::sort(tensors.begin(), tensors.end(), [](const TensorSpec& a, const TensorSpec& b) {
        const auto rank_a = io_detail::safetensors_rank(a.dtype), rank_b = io_detail::safetensors_rank(b.dtype);
        return rank_a != rank_b ? rank_a > rank_b : a.name < b.name;
    });
    // The keys keep this order, as the library writes them.
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    if (!metadata.empty()) header["__metadata__"] = metadata;
    std::uint64_t end = 0;
    for (const auto& t : tensors) {
        require(t.name != "__metadata__" && !slots_.contains(t.name), "{}: tensor '{}' is declared twice", path_.string(), t.name);
        nlohmann::ordered_json entry;
        entry["dtype"] = std::string(io_detail::kSafetensorsTypes[io_detail::safetensors_rank(t.dtype)].name);
        entry["shape"] = std::vector<std::int64_t>(t.shape.extents().begin(), t.shape.extents().end());
        entry["data_offsets"] = {end, end + t.bytes()};
        header.emplace(t.name, std::move(entry));
        slots_[t.name] = {end, t.bytes(), 0, t.dtype, t.shape};
        end += t.bytes();
    }
    auto text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    require(text.size() <= io_detail::kLargestSafetensorsHeader, "{}: a header of {} bytes is too long", path_.string(), text.size());
    const std::uint64_t length = text.size();
    file_.append(std::as_bytes(std::span(&length, 1)));
    file_.append(text);
    for (auto& [name, slot] : slots_) slot.offset += sizeof(length) + length;
    bytes_ = sizeof(length) + length + end;
}

const SafetensorsWriter::Slot& SafetensorsWriter::at(const std::string& name) const {
    const auto found = slots_.find(name);
    require(found != slots_.end(), "{}: tensor '{}' was not declared", path_.string(), name);
    return found->second;
}

TensorSlot SafetensorsWriter::slot(const std::string& name) const {
    const Slot& slot = at(name);
    return {file_.temporary(), path_, {slot.offset, slot.dtype, slot.shape}};
}

void SafetensorsWriter::count(const std::string& name, std::uint64_t bytes) {
    const auto found = slots_.find(name);
    require(found != slots_.end(), "{}: tensor '{}' was not declared", path_.string(), name);
    found->second.written += bytes;
}

void SafetensorsWriter::write(const std::string& name, std::span<const std::byte> bytes, std::uint64_t byte_offset) {
    const Slot& slot = at(name);
    require(byte_offset <= slot.bytes && bytes.size() <= slot.bytes - byte_offset, "{}: bytes [{}, {}) of tensor '{}', which has {}",
            path_.string(), byte_offset, byte_offset + bytes.size(), name, slot.bytes);
    file_.write_at(slot.offset + byte_offset, bytes);
    count(name, bytes.size());
}

void SafetensorsWriter::commit() {
    for (const auto& [name, slot] : slots_) {
        require(slot.written == slot.bytes, "{}: tensor '{}' has {} bytes, {} were written", path_.string(), name, slot.bytes,
                slot.written);
    }
    file_.commit();
}

SafetensorsModelWriter::SafetensorsModelWriter(const std::filesystem::path& directory, const std::vector<TensorSpec>& tensors,
                                               std::uint64_t max_shard_bytes, const SafetensorsMetadata& metadata, std::string stem)
    : directory_(directory), stem_(std::move(stem)) {
    std::vector<std::vector<TensorSpec>> plan(1);
    std::uint64_t filled = 0;
    for (const auto& t : tensors) {
        if (!plan.back().empty() && filled + t.bytes() > max_shard_bytes) {
            plan.emplace_back();
            filled = 0;
        }
        filled += t.bytes();
        tensor_bytes_ += t.bytes();
        elements_ += static_cast<std::uint64_t>(t.shape.elements());
        require(shard_of_.emplace(t.name, plan.size() - 1).second, "{}: tensor '{}' is declared twice", directory.string(), t.name);
        plan.back().push_back(t);
    }
    for (std::size_t i = 0; i < plan.size(); ++i) {
        names_.push_back(plan.size() == 1 ? stem_ + ".safetensors"
                                          : fmt::format("{}-{:05}-of-{:05}.safetensors", stem_, i + 1, plan.size()));
        shards_.push_back(std::make_unique<SafetensorsWriter>(directory / names_.back(), std::move(plan[i]), metadata));
    }
}

SafetensorsWriter& SafetensorsModelWriter::shard_of(const std::string& name) const {
    const auto found = shard_of_.find(name);
    require(found != shard_of_.end(), "{}: tensor '{}' was not declared", directory_.string(), name);
    return *shards_[found->second];
}

void SafetensorsModelWriter::write(const std::string& name, std::span<const std::byte> bytes, std::uint64_t byte_offset) {
    shard_of(name).write(name, bytes, byte_offset);
}

TensorSlot SafetensorsModelWriter::slot(const std::string& name) const { return shard_of(name).slot(name); }

void SafetensorsModelWriter::count(const std::string& name, std::uint64_t bytes) { shard_of(name).count(name, bytes); }

void SafetensorsModelWriter::commit() {
    for (const auto& shard : shards_) shard->commit();
    if (shards_.size() == 1) return;
    Json weight_map = Json::object();
    for (const auto& [name, shard] : shard_of_) weight_map[name] = names_[shard];
    // Last: without the index nothing reads the shards.
    write_json_file(
        directory_ / (stem_ + ".safetensors.index.json"),
        {{"metadata", {{"total_parameters", elements_}, {"total_size", tensor_bytes_}}}, {"weight_map", std::move(weight_map)}});
}

std::uint64_t SafetensorsModelWriter::bytes() const {
    std::uint64_t n = 0;
    for (const auto& shard : shards_) n += shard->bytes();
    return n;
}

}  // namespace tandem
