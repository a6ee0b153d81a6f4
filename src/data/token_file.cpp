#include "src/data/token_file.h"

#include <algorithm>
#include <limits>

#include "kernels/base/error.h"
#include "src/data/record.h"
#include "src/data/token_file_layout.h"

namespace tandem {

using namespace token_file_layout;

namespace {

std::uint64_t place_of(const Hdf5File& file, const char* dataset, std::int64_t elements) {
    const auto info = file.dataset(dataset);
    if (info.dtype != DType::I32 || info.shape != Shape{elements} || info.offset == 0) {
        fail(Failure::Input, "{}: dataset {} is {} {}, but contiguous int32 [{}] is needed; remove the file, it will be made again",
             file.path().string(), dataset, tandem::name(info.dtype), info.shape.str(), elements);
    }
    return info.offset;
}

}  // namespace

TokenFile TokenFile::open(const std::filesystem::path& path) {
    TokenFile result;
    const auto damaged = [&](const std::string& what) {
        fail(Failure::Input, "{}: not a whole token file: {}; remove it, it will be made again", path.string(), what);
    };
    const auto file = Hdf5File::open(path);
    if (!file.has_attribute("", "content") || file.string_attribute("", "content") != kContent) damaged("it has other contents");
    const auto version = file.integer_attribute("", "version");
    if (version != kVersion) damaged(fmt::format("its version is {}, this program reads {}", version, kVersion));
    result.key_ = file.string_attribute("", "key");
    result.checksum_ = file.string_attribute("", "checksum");
    result.report_ = report_from_json(parse_json(file.string_attribute("", "report"), path.string()), path.string());

    result.offsets_ = file.read_all<std::int64_t>(kOffsets);
    result.trained_ = file.read_all<std::int32_t>(kTrained);
    const auto& offsets = result.offsets_;
    if (offsets.size() != result.trained_.size() + 1 || offsets.front() != 0) damaged("its tables do not belong together");
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
        const auto length = offsets[i + 1] - offsets[i];
        if (length < 1 || length > std::numeric_limits<std::int32_t>::max() || result.trained_[i] < 0 || result.trained_[i] > length) {
            damaged(fmt::format("sample {} has {} tokens and {} trained ones", i, length, result.trained_[i]));
        }
        result.lengths_.push_back(static_cast<std::int32_t>(length));
    }
    result.ids_at_ = place_of(file, kIds, offsets.back());
    result.labels_at_ = place_of(file, kLabels, offsets.back());
    result.file_ = std::make_unique<RandomAccessFile>(path);
    return result;
}

void TokenFile::read(std::int64_t sample, std::span<std::int32_t> ids, std::span<std::int32_t> labels) const {
    const auto n = static_cast<std::size_t>(length(sample));
    require(ids.size() == n && labels.size() == n, "sample {} has {} tokens, not {} ids and {} labels", sample, n, ids.size(),
            labels.size());
    const auto first = static_cast<std::uint64_t>(offset(sample)) * sizeof(std::int32_t);
    file_->read(ids_at_ + first, std::as_writable_bytes(ids));
    file_->read(labels_at_ + first, std::as_writable_bytes(labels));
}

void TokenFile::verify() const {
    std::vector<std::byte> block(kBlockBytes);
    const auto hash = [&](std::uint64_t at) {
        Hasher hasher;
        const auto bytes = static_cast<std::uint64_t>(tokens()) * sizeof(std::int32_t);
        for (std::uint64_t done = 0; done < bytes; done += kBlockBytes) {
            const auto part = std::span(block).first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes - done, kBlockBytes)));
            file_->read(at + done, part);
            hasher.update(std::span<const std::byte>(part));
        }
        return hasher.digest();
    };
    if (checksum(hash(ids_at_), hash(labels_at_), offsets_, trained_, key_, dump_json(to_json(report_))) != checksum_) {
        fail(Failure::Input, "{}: the contents do not match the checksum; remove the file, it will be made again", path().string());
    }
}

}  // namespace tandem
