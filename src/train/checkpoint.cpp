#include "src/train/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>

#include <fmt/ranges.h>

#include "parallel/whereabouts.h"
#include "src/io/files.h"
#include "src/io/hash.h"
#include "src/io/model_directory.h"
#include "src/train/checkpoint_file.h"
#include "src/train/rank_zero.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

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

/// Masters and moments of this rank into the file that rank 0 has made; `first` is its first row of /boxes.
void write_owned(Context& ctx, const TrainState& state, const DraftPlaces& places, const fs::path& target, std::int64_t first) {
    SharedFile file(places.temporary, target);
    std::vector<BoxRow> rows;
    std::vector<std::byte> values;
    for (const OwnedBox& owned : state.owned()) {
        if (!owned.writer) continue;
        const std::string& tensor = state.parameter(owned).name;
        values.resize(state.bytes(owned));
        state.read(ctx, owned, values);
        write_box(file, places.tensors.at({owned.part, tensor}), owned.box.offset, owned.box.shape, values);
        mark_progress();
        rows.push_back(to_row({places.index.at(tensor), owned.part, owned.box, hash64(values)}));
    }
    const auto table = std::as_bytes(std::span(rows));
    file.write_at(places.boxes + static_cast<std::uint64_t>(first) * sizeof(BoxRow), table);
    file.sync();
}

/// Boxes that each rank writes. Throws on every rank where these are not every element of the model once.
std::vector<std::int64_t> boxes_by_rank(Communicator& world, const TrainState& state, const std::vector<StateTensor>& tensors) {
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(world.size()) + 1, 0);  // the last one counts elements
    for (const OwnedBox& owned : state.owned()) {
        if (!owned.writer) continue;
        ++numbers[static_cast<std::size_t>(world.rank())];
        numbers.back() += owned.box.shape.elements();
    }
    world.sum(numbers);
    std::int64_t elements = 0;
    for (const StateTensor& tensor : tensors) elements += tensor.shape.elements();
    require(numbers.back() == elements, "the ranks write {} elements of a model whose state has {}", numbers.back(), elements);
    numbers.pop_back();
    return numbers;
}

/// The optimizers that leave such a file behind.
std::vector<OptimizerName> optimizers_of(const CheckpointFile& file) {
    using enum OptimizerName;
    if (file.contains(StatePart::FirstCodes)) return {AdamW8bit, PagedAdamW8bit};
    if (file.contains(StatePart::FirstMoment)) return {AdamW};
    return {Sgd};
}

/// Moments of one kind are not made into those of another: that would be a step that no optimizer makes.
[[noreturn]] void refuse_optimizer(const CheckpointFile& file, const std::string& missing, OptimizerName wanted) {
    std::vector<std::string_view> names;
    for (const OptimizerName optimizer : optimizers_of(file)) names.push_back(name(optimizer));
    fail(Failure::Input,
         "{}: tensor '{}' is missing: the checkpoint is of a run with optimizer.name = {}, and this one has {}; set optimizer.name = {} to "
         "go on with it, or checkpoint.resume = none to start afresh",
         file.path().string(), missing, fmt::join(names, " or "), name(wanted), names.front());
}

void check_tensors(const CheckpointFile& file, const TrainState& state, const ParamTable& model) {
    std::size_t trained = 0;
    for (const StateTensor& tensor : state.tensors(model)) {
        if (tensor.part == StatePart::Master) ++trained;
        const std::string dataset = dataset_name(tensor.part, tensor.parameter);
        if (!file.contains(tensor.part, tensor.parameter)) {
            if (file.contains(StatePart::Master, tensor.parameter)) refuse_optimizer(file, dataset, state.optimizer());
            fail(Failure::Input, "{}: tensor '{}' is missing: the checkpoint is of a run that trained something else", file.path().string(),
                 dataset);
        }
        const TensorPlace place = file.place(tensor.part, tensor.parameter);
        if (place.shape != tensor.shape || place.dtype != tensor.dtype) {
            fail(Failure::Input, "{}: tensor '{}' is {} {}, this run has {} {}", file.path().string(), dataset, name(place.dtype),
                 place.shape.str(), name(tensor.dtype), tensor.shape.str());
        }
    }
    if (file.tensors().size() != trained)
        fail(Failure::Input, "{}: holds {} trained tensors, this run trains {}", file.path().string(), file.tensors().size(), trained);
}

/// A base is its files' fingerprint and, after a space, in which blocks it is kept, if any.
void refuse_other_base(const std::filesystem::path& path, const std::string& theirs, const std::string& ours) {
    if (theirs == ours) return;
    const auto files = [](const std::string& base) { return base.substr(0, base.find(' ')); };
    const auto blocks = [](const std::string& base) {
        return base.find(' ') == std::string::npos ? "full precision" : base.substr(base.find(' ') + 1);
    };
    if (files(theirs) == files(ours)) {
        fail(Failure::Input,
             "{}: was trained over this base model in {}, not in {}; set method.type and quantization.* accordingly, or "
             "checkpoint.resume = none or another output.dir",
             path.string(), blocks(theirs), blocks(ours));
    }
    fail(Failure::Input, "{}: belongs to another base model than the one of model.path; set checkpoint.resume = none or another output.dir",
         path.string());
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

void CheckpointStore::save(Context& ctx, Communicator& world, const TrainState& state, const ParamTable& model,
                           const CheckpointHeader& header) {
    const InPhase saving(Phase::Saving);
    const auto tensors = state.tensors(model);
    const auto boxes = boxes_by_rank(world, state, tensors);
    const fs::path target = directory_ / fmt::format("step-{}.h5", header.step);
    std::optional<CheckpointDraft> draft;  // rank 0 alone has it
    const std::string text =
        on_rank_zero(world, std::function<std::string()>([&] {
                         std::error_code error;
                         fs::create_directories(directory_, error);
                         if (error) fail(Failure::Run, "{}: cannot create the directory: {}", directory_.string(), error.message());
                         const auto all = std::accumulate(boxes.begin(), boxes.end(), std::int64_t{0});
                         draft.emplace(target, tensors, all, header);
                         return draft->places();
                     }));
    on_every_rank(world, [&] {
        const auto first = std::accumulate(boxes.begin(), boxes.begin() + world.rank(), std::int64_t{0});
        write_owned(ctx, state, DraftPlaces(text, tensors), target, first);
    });
    on_rank_zero(world, std::function<void()>([&] {
                     draft->commit();
                     remove_others(header.step);
                 }));
}

void CheckpointStore::remove_others(std::int64_t step) const {
    auto all = files();
    // Later steps are of a course that this run left: it began anew, or from an older checkpoint.
    std::erase_if(all, [&](const fs::path& old) { return step_of(old) > step && fs::remove(old); });
    for (std::size_t i = static_cast<std::size_t>(keep_); i < all.size(); ++i) fs::remove(all[i]);
}

std::optional<fs::path> CheckpointStore::newest(Communicator& world, std::vector<std::string>& notes) const {
    const std::string list = on_rank_zero(world, std::function<std::string()>([&] {
                                              std::string text;
                                              for (const auto& file : files()) text += file.filename().string() + "\n";
                                              return text;
                                          }));
    if (list.empty()) return std::nullopt;
    std::istringstream names(list);
    for (std::string name; std::getline(names, name);) {
        try {
            verify_checkpoint(directory_ / name, world);
            return directory_ / name;
        } catch (const Error& error) {
            notes.push_back(fmt::format("{}; falling back to the one before", error.what()));
        }
    }
    fail(Failure::Input, "{}: every checkpoint is damaged ({}); remove the directory or set checkpoint.resume = none to start afresh",
         directory_.string(), notes.front().substr(0, notes.front().find(';')));
}

void verify_checkpoint(const fs::path& path, Communicator& world) {
    const InPhase resuming(Phase::Resuming);
    on_every_rank(world, [&] {
        const CheckpointFile file(path);
        const auto boxes = file.boxes();
        for (auto i = static_cast<std::size_t>(world.rank()); i < boxes.size(); i += static_cast<std::size_t>(world.size()))
            (void)file.read_verified(boxes[i]);
    });
}

CheckpointHeader load_checkpoint(Context& ctx, Communicator& world, TrainState& state, const ParamTable& model, const fs::path& path,
                                 const std::string& base) {
    const InPhase resuming(Phase::Resuming);
    CheckpointHeader header;
    on_every_rank(world, [&] {
        const CheckpointFile file(path);
        header = file.header();
        refuse_other_base(path, header.base, base);
        check_tensors(file, state, model);
        std::vector<std::byte> values;
        for (const OwnedBox& owned : state.owned()) {
            values.resize(state.bytes(owned));
            file.read(file.place(owned.part, state.parameter(owned).name), owned.box, values);
            state.write(ctx, owned, values);
            mark_progress();
        }
    });
    state.publish(ctx);
    return header;
}

CheckpointHeader read_checkpoint_header(const fs::path& path) { return CheckpointFile(path).header(); }

TrainedTensors trained_tensors(const fs::path& path) {
    const auto file = std::make_shared<const CheckpointFile>(path);
    TrainedTensors trained{{}, DType::F32, {}, nullptr};
    for (const auto& tensor : file->tensors()) {
        const TensorPlace place = file->place(StatePart::Master, tensor);
        trained.tensors.emplace_back(tensor, place.shape);
        trained.dtype = place.dtype;
    }
    std::vector<BoxRecord> boxes = file->boxes();
    std::erase_if(boxes, [](const BoxRecord& record) { return record.part != StatePart::Master; });
    for (const BoxRecord& record : boxes) trained.pieces.push_back({record.tensor, record.box});
    trained.read = [file, boxes = std::move(boxes)](std::size_t i) { return file->read_verified(boxes[i]); };
    return trained;
}

std::string fingerprint_model(const fs::path& directory) {
    Hasher hasher;
    if (is_gguf(directory)) {
        hash_samples(hasher, directory);
        return hasher.digest().str();
    }
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
