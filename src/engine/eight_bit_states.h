// Moments in eight bits (Dettmers et al., arXiv 2110.02861): on the device, or in host memory and on the device a page at a time.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "kernels/base/context.h"
#include "kernels/ops/types.h"
#include "src/engine/moment_layout.h"

namespace tandem {

/// By bucket a sequence of elements (see BucketMoments), all zero at first.
class EightBitStates {
public:
    /// Elements of a page: 8.1 MiB of codes and absmax.
    static constexpr std::int64_t kPage = std::int64_t{4} << 20U;

    EightBitStates() = default;
    virtual ~EightBitStates() = default;
    EightBitStates(const EightBitStates&) = delete;
    EightBitStates& operator=(const EightBitStates&) = delete;

    /// What to do with the moments of elements [first, first + count) of a bucket: enqueues work on the context's stream.
    using Work = std::function<void(const EightBitMoments& moments, std::int64_t first, std::int64_t count)>;
    /// All of a bucket in one or several parts, in order; they begin at multiples of 256. What `work` writes stays.
    virtual void visit(Context&, std::size_t bucket, const Work& work) = 0;

    /// Codes or absmax (`part` says which) of a bucket from number `first` on, as many as fit; waits for the device.
    virtual void read(Context&, std::size_t bucket, StatePart part, std::int64_t first, std::span<std::byte> values) = 0;
    virtual void write(Context&, std::size_t bucket, StatePart part, std::int64_t first, std::span<const std::byte> values) = 0;

    /// Host memory that this takes besides what it takes of the device.
    [[nodiscard]] virtual std::size_t host_bytes() const { return 0; }
};

/// In MemoryKind::Optimizer.
[[nodiscard]] std::unique_ptr<EightBitStates> make_resident_states(const std::vector<BucketMoments>& buckets, Context ctx,
                                                                   DeviceMemory& memory);
/// In host memory; in MemoryKind::Optimizer two pages of at most `page` elements, a multiple of 256: while one is used the next one
/// arrives, also of the bucket after this one, and the one before goes home.
[[nodiscard]] std::unique_ptr<EightBitStates> make_paged_states(const std::vector<BucketMoments>& buckets, Context ctx,
                                                                DeviceMemory& memory, std::int64_t page = EightBitStates::kPage);

/// Bytes of the moments of `elements` (a multiple of 256): codes of the first, of the second, absmax of the first, of the second.
[[nodiscard]] std::int64_t eight_bit_bytes(std::int64_t elements);
/// Where number `index` (an element, or of absmax a block) of a part lies in them.
[[nodiscard]] std::int64_t eight_bit_offset(std::int64_t elements, StatePart part, std::int64_t index);
/// `bytes`: uint8 [at least eight_bit_bytes(elements)].
[[nodiscard]] EightBitMoments eight_bit_view(const Tensor& bytes, std::int64_t elements);

}  // namespace tandem
