// The inside of a checkpoint file (see checkpoint.h): its header, where its tensors lie, and what is known of each box of them.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "src/io/box_io.h"
#include "src/io/hdf5_file.h"
#include "src/train/checkpoint.h"

namespace tandem {

/// A box of a tensor that one rank wrote at once.
struct BoxRecord {
    std::size_t tensor;  ///< by rising name
    StatePart part;
    Box box;
    std::uint64_t checksum;  ///< XXH3-64 of its bytes, row-major
};

/// A row of /boxes: tensor, part, row, column, rows, columns (of vectors 0 and 1), checksum, XXH3-64 of these seven.
using BoxRow = std::array<std::int64_t, 8>;
[[nodiscard]] BoxRow to_row(const BoxRecord& record);

/// Name of a tensor's dataset: "exp_avg/layer.weight".
[[nodiscard]] std::string dataset_name(StatePart part, const std::string& tensor);

/// A new file's structure, without contents.
class CheckpointDraft {
public:
    static constexpr const char* kBoxes = "boxes";
    /// Makes the file under a temporary name and everything in it through HDF5; closes it.
    CheckpointDraft(const std::filesystem::path& target, const std::vector<StateTensor>& tensors, std::int64_t boxes,
                    const CheckpointHeader& header);
    /// What other ranks need to write into it, for DraftPlaces.
    [[nodiscard]] std::string places() const;
    void commit() { file_.commit(); }

private:
    Hdf5File file_;
    std::vector<std::uint64_t> offsets_;  ///< of the tensors and of the boxes
};

/// Where a draft's contents go: CheckpointDraft::places() read back.
struct DraftPlaces {
    DraftPlaces(const std::string& text, const std::vector<StateTensor>& tensors);
    std::filesystem::path temporary;
    std::map<std::pair<StatePart, std::string>, TensorPlace> tensors;
    std::map<std::string, std::size_t> index;  ///< of tensors by name
    std::uint64_t boxes;                       ///< offset of the first row
};

/// An existing file. What is wrong in it is Input, naming file and tensor.
class CheckpointFile {
public:
    /// Reads and checks the header, and nothing else.
    explicit CheckpointFile(const std::filesystem::path& path);

    [[nodiscard]] const std::filesystem::path& path() const { return hdf5_.path(); }
    [[nodiscard]] const CheckpointHeader& header() const { return header_; }
    [[nodiscard]] const std::vector<std::string>& tensors() const { return tensors_; }  ///< rising
    [[nodiscard]] bool contains(StatePart part, const std::string& tensor) const { return hdf5_.contains(dataset_name(part, tensor)); }
    /// Whether there is anything of a part.
    [[nodiscard]] bool contains(StatePart part) const { return hdf5_.contains(name(part)); }
    [[nodiscard]] TensorPlace place(StatePart part, const std::string& tensor) const;
    void read(const TensorPlace& place, const Box& box, std::span<std::byte> bytes) const {
        read_box(bytes_, place, box.offset, box.shape, bytes);
    }

    /// All of them; checks that each row is whole and that together they have as many elements as the tensors.
    [[nodiscard]] std::vector<BoxRecord> boxes() const;
    /// The elements of a box, row-major; compares their checksum.
    [[nodiscard]] std::vector<std::byte> read_verified(const BoxRecord& record) const;

private:
    [[nodiscard]] BoxRecord from_row(const BoxRow& row) const;
    [[noreturn]] void damaged(const std::string& what) const;
    Hdf5File hdf5_;
    RandomAccessFile bytes_;
    CheckpointHeader header_;
    std::vector<std::string> tensors_;
};

}  // namespace tandem
