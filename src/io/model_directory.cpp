#include "src/io/model_directory.h"

#include <memory>
#include <mutex>

#include "src/io/files.h"
#include "src/io/gguf_model.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

/// Of the GGUF file that was asked last: a model's texts are asked for one by one, and making them takes its whole vocabulary.
std::shared_ptr<const GgufDescription> description_of(const fs::path& gguf) {
    static std::mutex mutex;
    static fs::path path;
    static fs::file_time_type written;
    static std::shared_ptr<const GgufDescription> description;
    const std::lock_guard lock(mutex);
    const auto now = fs::last_write_time(gguf);
    if (!description || path != gguf || written != now) {
        description = std::make_shared<const GgufDescription>(describe_gguf(gguf, DType::BF16));
        path = gguf;
        written = now;
    }
    return description;
}

}  // namespace

bool is_gguf(const fs::path& model) {
    std::error_code ignored;
    return model.extension() == ".gguf" && fs::is_regular_file(model, ignored);
}

void require_model(const std::string& what, const fs::path& model) {
    std::error_code ignored;
    if (fs::is_directory(model, ignored) || is_gguf(model)) return;
    if (!fs::exists(model, ignored)) fail(Failure::Configuration, "{} {}: there is no such directory or file", what, model.string());
    fail(Failure::Configuration, "{} {}: is a file, expected a Hugging Face model directory or a .gguf file", what, model.string());
}

void require_directory(const std::string& what, const fs::path& model) {
    std::error_code ignored;
    if (fs::is_directory(model, ignored)) return;
    if (is_gguf(model)) {
        fail(Failure::Configuration, "{} {}: a model directory is needed here; make one of the GGUF file first: tandem import {} DIR", what,
             model.string(), model.string());
    }
    fail(Failure::Configuration, "{} {}: there is no such directory", what, model.string());
}

bool has_model_file(const fs::path& file) {
    if (is_gguf(file.parent_path())) return description_of(file.parent_path())->texts.contains(file.filename().string());
    std::error_code ignored;
    return fs::exists(file, ignored);
}

std::string read_model_file(const fs::path& file) {
    if (!is_gguf(file.parent_path())) return read_file(file);
    const auto description = description_of(file.parent_path());
    const auto found = description->texts.find(file.filename().string());
    if (found == description->texts.end()) fail(Failure::Configuration, "{}: a GGUF file has no such part", file.string());
    return found->second;
}

Json read_model_json(const fs::path& file) {
    return is_gguf(file.parent_path()) ? parse_json(read_model_file(file), file.string()) : read_json_file(file);
}

std::vector<std::string> model_warnings(const fs::path& model) {
    return is_gguf(model) ? description_of(model)->warnings : std::vector<std::string>();
}

}  // namespace tandem
