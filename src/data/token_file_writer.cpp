#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "kernels/base/error.h"
#include "src/data/record.h"
#include "src/data/token_file.h"
#include "src/data/token_file_layout.h"

namespace tandem {

using namespace token_file_layout;

Spool::Spool(const std::filesystem::path& directory) : directory_(directory.empty() ? "." : directory) {
    auto name = (directory_ / ".spool.tmp-XXXXXX").string();
    fd_ = FileDescriptor(::mkstemp(name.data()));
    if (fd_.get() < 0) {
        const int error = errno;
        fail(error == ENOSPC ? Failure::Run : Failure::Configuration, "{}: cannot create a file: {}", directory_.string(),
             std::generic_category().message(error));
    }
    if (::unlink(name.c_str()) != 0) fail(Failure::Run, "{}: cannot remove: {}", name, std::generic_category().message(errno));
    buffer_.reserve(kBlockBytes);
}

void Spool::append(std::span<const std::byte> bytes) {
    if (buffer_.size() + bytes.size() > kBlockBytes) flush();
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

void Spool::flush() {
    for (std::size_t done = 0; done < buffer_.size();) {
        const auto written = ::pwrite(fd_.get(), buffer_.data() + done, buffer_.size() - done, static_cast<off_t>(end_));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            fail(Failure::Run, "{}: cannot write tokens: {}", directory_.string(),
                 std::generic_category().message(written < 0 ? errno : ENOSPC));
        }
        done += static_cast<std::size_t>(written);
        end_ += static_cast<std::uint64_t>(written);
    }
    buffer_.clear();
}

void Spool::read(std::uint64_t offset, std::span<std::byte> target) const {
    for (std::size_t done = 0; done < target.size();) {
        const auto got = ::pread(fd_.get(), target.data() + done, target.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            fail(Failure::Run, "{}: cannot read tokens back: {}", directory_.string(),
                 std::generic_category().message(got < 0 ? errno : EIO));
        }
        done += static_cast<std::size_t>(got);
    }
}

TokenFileWriter::TokenFileWriter(std::filesystem::path file)
    : path_(std::move(file)), ids_(path_.parent_path()), labels_(path_.parent_path()) {}

void TokenFileWriter::append(std::span<const std::int32_t> ids, std::span<const std::int32_t> labels) {
    require(!ids.empty() && ids.size() == labels.size() && labels[0] == kNotTrained, "a sample of {} ids and {} labels", ids.size(),
            labels.size());
    ids_.append(std::as_bytes(ids));
    labels_.append(std::as_bytes(labels));
    ids_hash_.update(std::as_bytes(ids));
    labels_hash_.update(std::as_bytes(labels));
    offsets_.push_back(offsets_.back() + static_cast<std::int64_t>(ids.size()));
    trained_.push_back(static_cast<std::int32_t>(std::count_if(labels.begin(), labels.end(), [](auto id) { return id != kNotTrained; })));
}

void TokenFileWriter::commit(const std::string& key, const PrepareReport& report) {
    const auto tokens = offsets_.back();
    auto file = Hdf5File::create(path_);
    std::vector<std::int32_t> block(kBlockBytes / sizeof(std::int32_t));
    const auto copy = [&](Spool& spool, const char* dataset) {
        spool.flush();
        file.create_dataset(dataset, DType::I32, Shape{tokens});
        const auto block_tokens = static_cast<std::int64_t>(block.size());
        for (std::int64_t first = 0; first < tokens; first += block_tokens) {
            const auto part = std::span(block).first(static_cast<std::size_t>(std::min(tokens - first, block_tokens)));
            spool.read(static_cast<std::uint64_t>(first) * sizeof(std::int32_t), std::as_writable_bytes(part));
            file.write(dataset, first, std::span<const std::int32_t>(part));
        }
    };
    copy(ids_, kIds);
    copy(labels_, kLabels);
    file.write_all(kOffsets, std::span<const std::int64_t>(offsets_));
    file.write_all(kTrained, std::span<const std::int32_t>(trained_));
    const auto json = dump_json(to_json(report));
    file.set_attribute("", "content", std::string(kContent));
    file.set_attribute("", "version", kVersion);
    file.set_attribute("", "key", key);
    file.set_attribute("", "report", json);
    file.set_attribute("", "checksum", checksum(ids_hash_.digest(), labels_hash_.digest(), offsets_, trained_, key, json));
    file.commit();
}

}  // namespace tandem
