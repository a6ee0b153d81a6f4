#include "src/io/safetensors_writer.h"

#include <algorithm>

#include "src/io/json.h"
#include "src/io/safetensors_types.h"

namespace tandem {
namespace {

const io_detail::SafetensorsType& stored_type(const TensorSpec& spec) {
    if (spec.type.empty()) return io_detail::safetensors_type(spec.dtype);
    const auto* type = io_detail::find_safetensors_type(spec.type);
    require(type != nullptr, "tensor '{}' of type {}", spec.name, spec.type);
    return *type;
}

/// The library's order: falling element size, then names. Open tensors last.
bool lies_before(const TensorSpec& a, const TensorSpec& b) {
    const auto *type_a = &stored_type(a), *type_b = &stored_type(b);
    if (a.open != b.open) return b.open;
    return type_a != type_b ? type_a > type_b : a.name < b.name;
}

}  // namespace

std::uint64_t TensorSpec::bytes() const { return static_cast<std::uint64_t>(shape.elements()) * stored_type(*this).bits / 8; }

SafetensorsWriter::SafetensorsWriter(std::filesystem::path file, std::vector<TensorSpec> tensors, const SafetensorsMetadata& metadata)
    : path_(std::move(file)), file_(path_), metadata_(metadata), tensors_(std::move(tensors)) {
    std::sort(tensors_.begin(), tensors_.end(), lies_before);
    std::uint64_t end = 0;
    for (const auto& t : tensors_) {
        require(t.name != "__metadata__" && !slots_.contains(t.name), "{}: tensor '{}' is declared twice", path_.string(), t.name);
        slots_[t.name] = {end, t.bytes(), 0};
        end += t.bytes();
    }
    // With the most that open tensors may be; what a shorter header leaves is filled with spaces.
    const std::uint64_t length = header().size();
    require(length <= io_detail::kLargestSafetensorsHeader, "{}: a header of {} bytes is too long", path_.string(), length);
    data_ = sizeof(length) + length;
    bytes_ = data_ + end;
}

std::string SafetensorsWriter::header() const {
    // The keys keep this order, as the library writes them.
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    if (!metadata_.empty()) header["__metadata__"] = metadata_;
    for (const auto& t : tensors_) {
        const Slot& slot = slots_.at(t.name);
        nlohmann::ordered_json entry;
        entry["dtype"] = std::string(stored_type(t).name);
        if (t.open) entry["shape"] = nlohmann::ordered_json::array({slot.bytes});
        else entry["shape"] = std::vector<std::int64_t>(t.shape.extents().begin(), t.shape.extents().end());
        entry["data_offsets"] = {slot.offset, slot.offset + slot.bytes};
        header.emplace(t.name, std::move(entry));
    }
    auto text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    return text;
}

const SafetensorsWriter::Slot& SafetensorsWriter::at(const std::string& name) const {
    const auto found = slots_.find(name);
    require(found != slots_.end(), "{}: tensor '{}' was not declared", path_.string(), name);
    return found->second;
}

TensorSlot SafetensorsWriter::slot(const std::string& name) const {
    const Slot& slot = at(name);
    const auto spec = std::ranges::find(tensors_, name, &TensorSpec::name);
    return {file_.temporary(), path_, {data_ + slot.offset, spec->dtype, spec->shape}};
}

void SafetensorsWriter::count(const std::string& name, std::uint64_t bytes) {
    static_cast<void>(at(name));
    slots_.at(name).written += bytes;
}

void SafetensorsWriter::write(const std::string& name, std::span<const std::byte> bytes, std::uint64_t byte_offset) {
    const Slot& slot = at(name);
    require(byte_offset <= slot.bytes && bytes.size() <= slot.bytes - byte_offset, "{}: bytes [{}, {}) of tensor '{}', which has {}",
            path_.string(), byte_offset, byte_offset + bytes.size(), name, slot.bytes);
    file_.write_at(data_ + slot.offset + byte_offset, bytes);
    count(name, bytes.size());
}

void SafetensorsWriter::close(const std::string& name, std::span<const std::byte> bytes) {
    require(bytes.size() <= at(name).bytes && !closed_.contains(name), "{}: {} bytes close tensor '{}', which may have {}", path_.string(),
            bytes.size(), name, at(name).bytes);
    closed_[name].assign(bytes.begin(), bytes.end());
}

void SafetensorsWriter::place_open_tensors() {
    std::uint64_t end = 0;
    for (const auto& t : tensors_) {
        Slot& slot = slots_.at(t.name);
        if (t.open) {
            const auto found = closed_.find(t.name);
            require(found != closed_.end(), "{}: tensor '{}' was not closed", path_.string(), t.name);
            slot = {end, found->second.size(), 0};
            write(t.name, found->second);
        }
        end = slot.offset + slot.bytes;
    }
    bytes_ = data_ + end;
}

void SafetensorsWriter::commit() {
    place_open_tensors();
    for (const auto& [name, slot] : slots_) {
        require(slot.written == slot.bytes, "{}: tensor '{}' has {} bytes, {} were written", path_.string(), name, slot.bytes,
                slot.written);
    }
    const std::uint64_t length = data_ - sizeof(length);
    auto text = header();
    text.resize(length, ' ');
    file_.write_at(0, std::as_bytes(std::span(&length, 1)));
    file_.write_at(sizeof(length), std::as_bytes(std::span(text)));
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

void SafetensorsModelWriter::close(const std::string& name, std::span<const std::byte> bytes) { shard_of(name).close(name, bytes); }

TensorSlot SafetensorsModelWriter::slot(const std::string& name) const { return shard_of(name).slot(name); }

void SafetensorsModelWriter::count(const std::string& name, std::uint64_t bytes) { shard_of(name).count(name, bytes); }

void SafetensorsModelWriter::commit() {
    for (const auto& shard : shards_) shard->commit();
    if (shards_.size() == 1) return;
    Json weight_map = Json::object();
    for (const auto& [name, shard] : shard_of_) weight_map[name] = names_[shard];
    std::uint64_t tensor_bytes = 0;
    for (const auto& shard : shards_) tensor_bytes += shard->data_bytes();
    // Last: without the index nothing reads the shards.
    write_json_file(directory_ / (stem_ + ".safetensors.index.json"),
                    {{"metadata", {{"total_parameters", elements_}, {"total_size", tensor_bytes}}}, {"weight_map", std::move(weight_map)}});
}

std::uint64_t SafetensorsModelWriter::bytes() const {
    std::uint64_t n = 0;
    for (const auto& shard : shards_) n += shard->bytes();
    return n;
}

}  // namespace tandem
