// 8-bit moments in host memory that visit the device page by page. Two buffers: page k is used in one while page k + 1 arrives in the
// other. Copies are enqueued on a stream of their own, so that they are in order among themselves: a buffer is filled after what was in it
// has gone home.
#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <optional>

#include "kernels/base/backend.h"
#include "src/engine/eight_bit_states.h"
#include "src/engine/host_state.h"

namespace tandem {
namespace {

struct Page {
    std::size_t bucket;
    std::int64_t first, count;  ///< elements of the bucket
    std::size_t home;           ///< where its bytes lie in host memory
};

/// A stretch of a page's values, as they lie in host memory.
struct Stretch {
    std::size_t home, bytes;
};

class PagedStates final : public EightBitStates {
public:
    PagedStates(const std::vector<BucketMoments>& buckets, Context ctx, DeviceMemory& memory, std::int64_t page)
        : page_(page), copies_(ctx.backend.make_stream()), host_(ctx.backend, list_pages(buckets)) {
        std::int64_t largest = 0;
        for (const BucketMoments& b : buckets) largest = std::max(largest, std::min(b.most_eight_bit, page));
        for (Buffer& buffer : buffers_) {
            buffer.bytes = memory[MemoryKind::Optimizer].allocate("page of 8-bit moments", DType::U8, {eight_bit_bytes(largest)});
            buffer.arrived = ctx.backend.make_event();
            buffer.used = ctx.backend.make_event();
        }
    }
    ~PagedStates() override {
        if (std::uncaught_exceptions() > 0) return;  // nothing is given back that the copies use
        try {
            copies_->synchronize();
        } catch (const Error&) {
            // The device failed earlier, and what it said then is on its way to the user.
        }
    }
    PagedStates(const PagedStates&) = delete;
    PagedStates& operator=(const PagedStates&) = delete;

    void visit(Context& ctx, std::size_t bucket, const Work& work) override {
        for (std::size_t k = first_page_.at(bucket); k < first_page_.at(bucket + 1); ++k) {
            fetch(ctx, k);
            if (k + 1 < pages_.size()) fetch(ctx, k + 1);
            Buffer& buffer = buffer_of(k);
            ctx.stream.wait(*buffer.arrived);
            work(eight_bit_view(buffer.bytes, pages_[k].count), pages_[k].first, pages_[k].count);
            ctx.stream.record(*buffer.used);
            copies_->wait(*buffer.used);
            ctx.backend.copy_to_host(*copies_, bytes_in(buffer, k), host_.at(pages_[k].home));
            buffer.page.reset();
        }
    }

    void read(Context&, std::size_t bucket, StatePart part, std::int64_t first, std::span<std::byte> values) override {
        copies_->synchronize();
        for (const Stretch& s : stretches(bucket, part, first, values.size())) {
            std::memcpy(values.data(), host_.at(s.home), s.bytes);
            values = values.subspan(s.bytes);
        }
    }

    void write(Context&, std::size_t bucket, StatePart part, std::int64_t first, std::span<const std::byte> values) override {
        copies_->synchronize();
        for (Buffer& buffer : buffers_) buffer.page.reset();
        for (const Stretch& s : stretches(bucket, part, first, values.size())) {
            std::memcpy(host_.at(s.home), values.data(), s.bytes);
            values = values.subspan(s.bytes);
        }
    }

    [[nodiscard]] std::size_t host_bytes() const override { return host_.bytes(); }

private:
    struct Buffer {
        Tensor bytes;
        std::optional<std::size_t> page;  ///< that has come, or is on its way, and was not used yet
        std::unique_ptr<Event> arrived, used;
    };

    /// Returns the bytes of host memory, as many on every data-parallel rank.
    std::size_t list_pages(const std::vector<BucketMoments>& buckets) {
        std::int64_t home = 0;
        for (std::size_t b = 0; b < buckets.size(); ++b) {
            first_page_.push_back(pages_.size());
            const std::int64_t begin = home;
            for (std::int64_t first = 0; first < buckets[b].eight_bit; first += page_) {
                const std::int64_t count = std::min(page_, buckets[b].eight_bit - first);
                pages_.push_back({b, first, count, static_cast<std::size_t>(home)});
                home += eight_bit_bytes(count);
            }
            home = begin + eight_bit_bytes(buckets[b].most_eight_bit);
        }
        first_page_.push_back(pages_.size());
        return static_cast<std::size_t>(home);
    }

    Buffer& buffer_of(std::size_t page) { return buffers_[page % buffers_.size()]; }

    [[nodiscard]] Tensor bytes_in(const Buffer& buffer, std::size_t page) const {
        return buffer.bytes.rows(0, eight_bit_bytes(pages_[page].count));
    }

    void fetch(Context& ctx, std::size_t page) {
        Buffer& buffer = buffer_of(page);
        if (buffer.page == page) return;
        ctx.backend.copy_from_host(*copies_, host_.at(pages_[page].home), bytes_in(buffer, page));
        copies_->record(*buffer.arrived);
        buffer.page = page;
    }

    /// Where numbers of a part from `first` on lie, `bytes` of them.
    [[nodiscard]] std::vector<Stretch> stretches(std::size_t bucket, StatePart part, std::int64_t first, std::size_t bytes) const {
        const auto size = static_cast<std::int64_t>(size_of(type_of(part, DType::F32)));
        const std::int64_t unit = is_absmax(part) ? EightBitMoments::kBlock : 1;
        std::int64_t left = static_cast<std::int64_t>(bytes) / size;
        std::vector<Stretch> list;
        for (std::size_t k = first_page_.at(bucket); k < first_page_.at(bucket + 1) && left > 0; ++k) {
            const Page& page = pages_[k];
            const std::int64_t begin = page.first / unit, end = (page.first + page.count) / unit;
            if (first >= end) continue;
            const std::int64_t n = std::min(left, end - first);
            const auto at = static_cast<std::size_t>(eight_bit_offset(page.count, part, first - begin));
            list.push_back({page.home + at, static_cast<std::size_t>(n * size)});
            first += n;
            left -= n;
        }
        require(left == 0, "{} of bucket {} are not there", name(part), bucket);
        return list;
    }

    std::int64_t page_;
    std::vector<Page> pages_;              ///< in the order of updates
    std::vector<std::size_t> first_page_;  ///< of each bucket, and their number
    std::unique_ptr<Stream> copies_;
    HostState host_;
    std::array<Buffer, 2> buffers_;
};

}  // namespace

std::unique_ptr<EightBitStates> make_paged_states(const std::vector<BucketMoments>& buckets, Context ctx, DeviceMemory& memory,
                                                  std::int64_t page) {
    require(page > 0 && page % EightBitMoments::kBlock == 0, "pages of {} elements", page);
    return std::make_unique<PagedStates>(buckets, ctx, memory, page);
}

}  // namespace tandem
