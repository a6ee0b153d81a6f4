#include "src/io/model_files.h"

#include <algorithm>
#include <array>

namespace tandem {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kStagingBytes = std::size_t{8} << 20;

/// Also what makes transformers look for an adapter's.
bool is_weights(const std::string& name) {
    if (name == "adapter_config.json") return true;
    static constexpr std::array<std::string_view, 9> endings = {
        ".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pth", ".pt", ".gguf", ".msgpack", ".h5"};
    return std::ranges::any_of(endings, [&](std::string_view ending) { return name.ends_with(ending); });
}

void copy_into(const fs::path& file, const fs::path& to) {
    std::error_code error;
    if (!fs::copy_file(file, to / file.filename(), error) || error)
        fail(Failure::Run, "{}: cannot be copied to {}: {}", file.string(), to.string(), error.message());
}

/// Of a tokenizer with several templates; small files, which transformers looks for.
constexpr const char* kTemplates = "additional_chat_templates";

}  // namespace

void require_unoccupied(const fs::path& directory) {
    std::error_code error;
    if (!fs::exists(directory, error)) return;
    if (!fs::is_directory(directory, error)) fail(Failure::Configuration, "{}: exists and is not a directory", directory.string());
    const bool empty = fs::is_empty(directory, error);
    if (error) fail(Failure::Configuration, "{}: cannot be read: {}", directory.string(), error.message());
    if (!empty) fail(Failure::Configuration, "{}: exists and is not empty; remove it or name another directory", directory.string());
}

std::vector<std::string> copy_other_files(const fs::path& from, const fs::path& to) {
    std::vector<std::string> left_out;
    for (const auto& entry : fs::directory_iterator(from)) {
        const std::string name = entry.path().filename().string();
        std::error_code ignored;
        if (name == "config.json" || fs::equivalent(entry.path(), to, ignored)) continue;
        if (name == kTemplates && entry.is_directory()) {
            fs::create_directory(to / name);
            for (const auto& file : fs::directory_iterator(entry.path()))
                if (file.path().extension() == ".jinja" && file.is_regular_file()) copy_into(file.path(), to / name);
        } else if (!entry.is_regular_file() || name.starts_with('.') || is_weights(name)) {
            left_out.push_back(name);
        } else {
            copy_into(entry.path(), to);
        }
    }
    std::ranges::sort(left_out);
    return left_out;
}

std::vector<std::string> tensors_in_file_order(const SafetensorsModel& model) {
    std::vector<const SafetensorsEntries::value_type*> entries;
    for (const auto& item : model.tensors()) entries.push_back(&item);
    std::ranges::sort(entries, {}, [](const auto* item) { return std::pair(item->second.file, item->second.offset); });
    std::vector<std::string> names;
    for (const auto* item : entries) names.push_back(item->first);
    return names;
}

TensorSpec stored_spec(const SafetensorsModel& model, const std::string& name) {
    const SafetensorsEntry& entry = model.tensors().find(name)->second;
    TensorSpec spec{.name = name, .dtype = entry.dtype, .shape = entry.shape, .type = entry.type};
    if (spec.bytes() != entry.bytes) static_cast<void>(model.at(name));  // says why
    return spec;
}

void copy_tensor(const SafetensorsModel& model, const std::string& name, SafetensorsModelWriter& writer) {
    const std::uint64_t bytes = model.tensors().find(name)->second.bytes;
    std::vector<std::byte> staging(std::min<std::uint64_t>(kStagingBytes, bytes));
    for (std::uint64_t done = 0; done < bytes; done += staging.size()) {
        const auto piece = std::span(staging).first(std::min<std::uint64_t>(staging.size(), bytes - done));
        model.read(name, done, piece);
        writer.write(name, piece, done);
    }
}

}  // namespace tandem
