#include "src/train/checkpoint_file.h"

#include <algorithm>
#include <sstream>

#include "src/io/hash.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kVersion = 4;
constexpr const char* kFormat = "tandem checkpoint";

DType type_called(const std::string& text, const fs::path& path) {
    for (const DType type : {DType::F32, DType::BF16, DType::F16, DType::F64}) {
        if (text == name(type)) return type;
    }
    fail(Failure::Input, "{}: attribute 'dtype' is '{}', expected fp32, bf16, fp16 or fp64", path.string(), text);
}

/// HDF5 itself notices a flipped bit of an attribute no more than one of a tensor.
std::int64_t checksum(const CheckpointHeader& h) {
    const auto text = fmt::format("{} {} {} {} {} {} {} {}{}", h.step, h.seed, h.skipped, h.base, h.data, h.recipe.model,
                                  h.recipe.adapter_config, name(h.recipe.dtype), h.recipe.base);
    return static_cast<std::int64_t>(hash64(std::as_bytes(std::span(text))));
}

std::int64_t checksum(const BoxRow& row) { return static_cast<std::int64_t>(hash64(std::as_bytes(std::span(row).first(row.size() - 1)))); }

void write_header(Hdf5File& file, const CheckpointHeader& header) {
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
    if (!header.recipe.base.empty()) file.set_attribute("", "adapter_base", header.recipe.base);
    file.set_attribute("", "header_xxh3", checksum(header));
}

CheckpointHeader read_header(const Hdf5File& file) {
    if (!file.has_attribute("", "format") || file.string_attribute("", "format") != kFormat)
        fail(Failure::Input, "{}: not a checkpoint of tandem", file.path().string());
    const auto version = file.integer_attribute("", "version");
    if (version != kVersion)
        fail(Failure::Input, "{}: checkpoint version {}, this tandem reads version {}", file.path().string(), version, kVersion);
    const auto text = [&](const char* attribute) { return file.string_attribute("", attribute); };
    CheckpointHeader header{file.integer_attribute("", "step"),
                            static_cast<std::uint64_t>(file.integer_attribute("", "seed")),
                            file.integer_attribute("", "skipped"),
                            text("base"),
                            text("data"),
                            {text("model"), text("adapter_config"), type_called(text("dtype"), file.path()),
                             file.has_attribute("", "adapter_base") ? text("adapter_base") : ""}};
    if (file.integer_attribute("", "header_xxh3") != checksum(header))
        fail(Failure::Input, "{}: the header is damaged: its checksum does not match", file.path().string());
    return header;
}

}  // namespace

std::string dataset_name(StatePart part, const std::string& tensor) { return std::string(name(part)) + "/" + tensor; }

BoxRow to_row(const BoxRecord& r) {
    const bool matrix = r.box.shape.dims() == 2;
    BoxRow row = {static_cast<std::int64_t>(r.tensor),
                  static_cast<std::int64_t>(r.part),
                  r.box.offset[0],
                  matrix ? r.box.offset[1] : 0,
                  r.box.shape[0],
                  matrix ? r.box.shape[1] : 1,
                  static_cast<std::int64_t>(r.checksum),
                  0};
    row.back() = checksum(row);
    return row;
}

CheckpointDraft::CheckpointDraft(const fs::path& target, const std::vector<StateTensor>& tensors, std::int64_t boxes,
                                 const CheckpointHeader& header)
    : file_(Hdf5File::create(target)) {
    write_header(file_, header);
    for (const StateTensor& t : tensors) {
        const std::string dataset = dataset_name(t.part, t.parameter);
        file_.create_dataset(dataset, t.dtype, t.shape);
        offsets_.push_back(file_.dataset(dataset).offset);
    }
    file_.create_dataset(kBoxes, DType::I64, {boxes, static_cast<std::int64_t>(BoxRow().size())});
    offsets_.push_back(file_.dataset(kBoxes).offset);
    file_.close();
}

std::string CheckpointDraft::places() const {
    std::string text = file_.temporary().string() + '\0';
    for (const auto offset : offsets_) text += fmt::format("{} ", offset);
    return text;
}

DraftPlaces::DraftPlaces(const std::string& text, const std::vector<StateTensor>& list) {
    const auto end = text.find('\0');
    require(end != std::string::npos, "a checkpoint's places without its name");
    temporary = text.substr(0, end);
    std::istringstream numbers(text.substr(end + 1));
    for (const StateTensor& t : list) {
        if (t.part == StatePart::Master) index.emplace(t.parameter, index.size());  // their names rise
        TensorPlace& place = tensors[{t.part, t.parameter}];
        place = {0, t.dtype, t.shape};
        numbers >> place.offset;
    }
    numbers >> boxes;
    require(!numbers.fail(), "a checkpoint's places are not complete");
}

CheckpointFile::CheckpointFile(const fs::path& path) : hdf5_(Hdf5File::open(path)), bytes_(path), header_(read_header(hdf5_)) {
    if (!hdf5_.contains(name(StatePart::Master))) fail(Failure::Input, "{}: the group 'master' is missing", path.string());
    tensors_ = hdf5_.children(name(StatePart::Master));
}

void CheckpointFile::damaged(const std::string& what) const {
    fail(Failure::Input, "{}: {} is damaged: its checksum does not match", path().string(), what);
}

TensorPlace CheckpointFile::place(StatePart part, const std::string& tensor) const {
    const Hdf5Dataset info = hdf5_.dataset(dataset_name(part, tensor));
    if (info.offset == 0 || info.shape.dims() > 2)
        fail(Failure::Input, "{}: tensor '{}' does not lie there as tandem writes tensors", path().string(), dataset_name(part, tensor));
    return {info.offset, info.dtype, info.shape};
}

BoxRecord CheckpointFile::from_row(const BoxRow& row) const {
    const auto [tensor, part, first, column, rows, columns, hash, own] = row;
    if (own != checksum(row) || tensor < 0 || tensor >= static_cast<std::int64_t>(tensors_.size()) || part < 0 ||
        part >= static_cast<std::int64_t>(kStateParts.size()))
        damaged("the list of boxes");
    const auto t = static_cast<std::size_t>(tensor);
    const auto p = kStateParts.at(static_cast<std::size_t>(part));
    if (!contains(p, tensors_[t])) fail(Failure::Input, "{}: tensor '{}' is missing", path().string(), dataset_name(p, tensors_[t]));
    const bool matrix = place(p, tensors_[t]).shape.dims() == 2;
    return {t, p, matrix ? Box{{first, column}, {rows, columns}} : Box{{first}, {rows}}, static_cast<std::uint64_t>(hash)};
}

std::vector<BoxRecord> CheckpointFile::boxes() const {
    const Hdf5Dataset info = hdf5_.dataset(CheckpointDraft::kBoxes);
    if (info.shape.dims() != 2 || info.shape[1] != static_cast<std::int64_t>(BoxRow().size()) || info.dtype != DType::I64)
        fail(Failure::Input, "{}: the list of boxes is {} {}", path().string(), name(info.dtype), info.shape.str());
    std::vector<BoxRow> rows(static_cast<std::size_t>(info.shape[0]));
    hdf5_.read(CheckpointDraft::kBoxes, info.dtype, {0, 0}, info.shape, rows.data());
    std::vector<BoxRecord> records;
    std::map<std::pair<StatePart, std::size_t>, std::int64_t> elements;
    for (const BoxRow& row : rows) {
        records.push_back(from_row(row));
        elements[{records.back().part, records.back().tensor}] += records.back().box.shape.elements();
    }
    for (const StatePart part : kStateParts) {
        for (std::size_t t = 0; t < tensors_.size(); ++t) {
            if (!contains(part, tensors_[t])) continue;
            if (elements[{part, t}] != place(part, tensors_[t]).shape.elements())
                fail(Failure::Input, "{}: the list of boxes does not make up tensor '{}'", path().string(),
                     dataset_name(part, tensors_[t]));
        }
    }
    return records;
}

std::vector<std::byte> CheckpointFile::read_verified(const BoxRecord& record) const {
    const TensorPlace at = place(record.part, tensors_[record.tensor]);
    std::vector<std::byte> bytes(static_cast<std::size_t>(record.box.shape.elements()) * size_of(at.dtype));
    read(at, record.box, bytes);
    if (hash64(bytes) != record.checksum) damaged(fmt::format("tensor '{}'", dataset_name(record.part, tensors_[record.tensor])));
    return bytes;
}

}  // namespace tandem
