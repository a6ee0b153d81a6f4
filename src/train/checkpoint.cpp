#include "src/train/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <span>

#include "src/io/files.h"
#include "src/io/hash.h"
#include "src/io/hdf5_file.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kVersion = 2;
constexpr const char* kFormat = "tandem checkpoint";

/// N of "step-N.h5".
std::optional<std::int64_t> step_of(const fs::path& file) {
    const std::string text = file.filename().string();
    if (!text.starts_with("step-") || !text.ends_with(".h5")) return std::nullopt;
    std::int64_t step = 0;
    const char *first = text.data() + 5, *last = text.data() + text.size() - 3;
    const auto [end, error] = std::from_chars(first, last, step);
    if (error != std::errc() || end != last || step < 0) return std::nullopt;
    return step;
}

Shape origin(const Shape& shape) {
    const std::vector<std::int64_t> zeros(static_cast<std::size_t>(shape.dims()), 0);
    return Shape(std::span<const std::int64_t>(zeros));
}

std::string path_of(StatePart part, const std::string& parameter) { return std::string(name(part)) + "/" + parameter; }

std::vector<std::byte> read_verified(const Hdf5File& file, const std::string& dataset) {
    const Hdf5Dataset info = file.dataset(dataset);
    std::vector<std::byte> values(info.bytes());
    file.read(dataset, info.dtype, origin(info.shape), info.shape, values.data());
    const auto found = static_cast<std::int64_t>(hash64(values));
    if (found != file.integer_attribute(dataset, "xxh3")) {
        fail(Failure::Input, "{}: tensor '{}' is damaged: its checksum does not match", file.path().string(), dataset);
    }
    return values;
}

DType type_called(const std::string& text, const fs::path& path) {
    for (const DType type : {DType::F32, DType::BF16, DType::F16, DType::F64}) {
        if (text == name(type)) return type;
    }
    fail(Failure::Input, "{}: attribute 'dtype' is '{}', expected fp32, bf16, fp16 or fp64", path.string(), text);
}

/// HDF5 itself notices a flipped bit of an attribute no more than one of a tensor.
std::int64_t checksum(const CheckpointHeader& h) {
    const auto text = fmt::format("{} {} {} {} {} {} {} {}", h.step, h.seed, h.skipped, h.base, h.data, h.recipe.model,
                                  h.recipe.adapter_config, name(h.recipe.dtype));
    return static_cast<std::int64_t>(hash64(std::as_bytes(std::span(text))));
}

CheckpointHeader read_header(const Hdf5File& file) {
    const auto text = [&](const char* attribute) { return file.string_attribute("", attribute); };
    CheckpointHeader header{file.integer_attribute("", "step"),
                            static_cast<std::uint64_t>(file.integer_attribute("", "seed")),
                            file.integer_attribute("", "skipped"),
                            text("base"),
                            text("data"),
                            {text("model"), text("adapter_config"), type_called(text("dtype"), file.path())}};
    if (file.integer_attribute("", "header_xxh3") != checksum(header))
        fail(Failure::Input, "{}: the header is damaged: its checksum does not match", file.path().string());
    return header;
}

Hdf5File open_checkpoint(const fs::path& path) {
    Hdf5File file = Hdf5File::open(path);
    if (!file.has_attribute("", "format") || file.string_attribute("", "format") != kFormat) {
        fail(Failure::Input, "{}: not a checkpoint of tandem", path.string());
    }
    const auto version = file.integer_attribute("", "version");
    if (version != kVersion)
        fail(Failure::Input, "{}: checkpoint version {}, this tandem reads version {}", path.string(), version, kVersion);
    return file;
}

void hash_samples(Hasher& hasher, const fs::path& path) {
    constexpr std::uint64_t kEvery = std::uint64_t{16} << 20, kSample = std::uint64_t{64} << 10;
    const RandomAccessFile file(path);
    hasher.update(fmt::format("{} {};", path.filename().string(), file.size()));
    std::vector<std::byte> sample;
    for (std::uint64_t offset = 0; offset < file.size(); offset += kEvery) {
        sample.resize(std::min(kSample, file.size() - offset));
        file.read(offset, sample);
        hasher.update(sample);
    }
}

}  // namespace

CheckpointStore::CheckpointStore(fs::path directory, std::int64_t keep) : directory_(std::move(directory)), keep_(keep) {}

std::vector<fs::path> CheckpointStore::files() const {
    std::map<std::int64_t, fs::path, std::greater<>> found;
    if (fs::is_directory(directory_)) {
        for (const auto& entry : fs::directory_iterator(directory_)) {
            if (const auto step = step_of(entry.path())) found[*step] = entry.path();
        }
    }
    std::vector<fs::path> list;
    for (const auto& [step, path] : found) list.push_back(path);
    return list;
}

void CheckpointStore::save(Context& ctx, const TrainState& state, const CheckpointHeader& header) {
    std::error_code error;
    fs::create_directories(directory_, error);
    if (error) fail(Failure::Run, "{}: cannot create the directory: {}", directory_.string(), error.message());
    const fs::path target = directory_ / fmt::format("step-{}.h5", header.step);
    Hdf5File file = Hdf5File::create(target);
    file.set_attribute("", "format", std::string(kFormat));
    file.set_attribute("", "version", kVersion);
    file.set_attribute("", "step", header.step);
    file.set_attribute("", "seed", static_cast<std::int64_t>(header.seed));
    file.set_attribute("", "skipped", header.skipped);
    file.set_attribute("", "base", header.base);
    file.set_attribute("", "data", header.data);
    file.set_attribute("", "model", header.recipe.model);
    file.set_attribute("", "adapter_config", header.recipe.adapter_config);
    file.set_attribute("", "dtype", std::string(name(header.recipe.dtype)));
    file.set_attribute("", "header_xxh3", checksum(header));
    for (const std::size_t i : state.trained()) {
        const Parameter& p = state.parameter(i);
        for (const StatePart part : state.parts()) {
            const auto values = state.read(ctx, i, part);
            const std::string dataset = path_of(part, p.name);
            file.create_dataset(dataset, state.dtype(), p.global);
            file.write(dataset, state.dtype(), origin(p.global), p.global, values.data());
            file.set_attribute(dataset, "xxh3", static_cast<std::int64_t>(hash64(values)));
        }
    }
    file.commit();
    auto all = files();
    // Later steps are of a course that this run left: it began anew, or from an older checkpoint.
    std::erase_if(all, [&](const fs::path& old) { return step_of(old) > header.step && fs::remove(old); });
    for (std::size_t i = static_cast<std::size_t>(keep_); i < all.size(); ++i) fs::remove(all[i]);
}

std::optional<fs::path> CheckpointStore::newest(std::vector<std::string>& notes) const {
    const auto all = files();
    for (const auto& path : all) {
        try {
            verify_checkpoint(path);
            return path;
        } catch (const Error& error) {
            notes.push_back(fmt::format("{}; falling back to the one before", error.what()));
        }
    }
    if (all.empty()) return std::nullopt;
    fail(Failure::Input, "{}: every checkpoint is damaged ({}); remove the directory or set checkpoint.resume = none to start afresh",
         directory_.string(), notes.front().substr(0, notes.front().find(';')));
}

void verify_checkpoint(const fs::path& path) {
    const Hdf5File file = open_checkpoint(path);
    (void)read_header(file);
    if (!file.contains(name(StatePart::Master))) fail(Failure::Input, "{}: the group 'master' is missing", path.string());
    for (const StatePart part : {StatePart::Master, StatePart::FirstMoment, StatePart::SecondMoment}) {
        if (!file.contains(name(part))) continue;
        for (const auto& parameter : file.children(name(part))) (void)read_verified(file, path_of(part, parameter));
    }
}

CheckpointHeader load_checkpoint(Context& ctx, TrainState& state, const fs::path& path, const std::string& base) {
    const Hdf5File file = open_checkpoint(path);
    CheckpointHeader header = read_header(file);
    if (header.base != base)
        fail(Failure::Input,
             "{}: belongs to another base model than the one of model.path; set checkpoint.resume = none or another output.dir",
             path.string());
    for (const std::size_t i : state.trained()) {
        const Parameter& p = state.parameter(i);
        for (const StatePart part : state.parts()) {
            const std::string dataset = path_of(part, p.name);
            if (!file.contains(dataset))
                fail(Failure::Input, "{}: tensor '{}' is missing: the checkpoint is of a run that trained something else", path.string(),
                     dataset);
            const Hdf5Dataset info = file.dataset(dataset);
            if (info.shape != p.global || info.dtype != state.dtype()) {
                fail(Failure::Input, "{}: tensor '{}' is {} {}, this run has {} {}", path.string(), dataset, name(info.dtype),
                     info.shape.str(), name(state.dtype()), p.global.str());
            }
            state.write(ctx, i, part, read_verified(file, dataset));
        }
    }
    const auto stored = file.children(name(StatePart::Master)).size();
    if (stored != state.trained().size()) {
        fail(Failure::Input, "{}: holds {} trained tensors, this run trains {}", path.string(), stored, state.trained().size());
    }
    state.publish(ctx);
    return header;
}

CheckpointHeader read_checkpoint_header(const fs::path& path) { return read_header(open_checkpoint(path)); }

TrainedTensors trained_tensors(const fs::path& path) {
    const Hdf5File file = open_checkpoint(path);
    TrainedTensors trained{{}, DType::F32, nullptr};
    for (const auto& parameter : file.children(name(StatePart::Master))) {
        const Hdf5Dataset info = file.dataset(path_of(StatePart::Master, parameter));
        trained.tensors.emplace_back(parameter, info.shape);
        trained.dtype = info.dtype;
    }
    trained.read = [path, names = trained.tensors](std::size_t i) {
        return read_verified(open_checkpoint(path), path_of(StatePart::Master, names[i].first));
    };
    return trained;
}

std::string fingerprint_model(const fs::path& directory) {
    Hasher hasher;
    hasher.update(read_file(directory / "config.json"));
    std::vector<fs::path> weights;
    for (const auto& entry : fs::directory_iterator(directory)) {
        if (entry.path().extension() == ".safetensors") weights.push_back(entry.path());
    }
    std::sort(weights.begin(), weights.end());
    for (const auto& path : weights) hash_samples(hasher, path);
    return hasher.digest().str();
}

}  // namespace tandem
