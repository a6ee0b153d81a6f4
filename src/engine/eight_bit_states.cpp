#include "src/engine/eight_bit_states.h"

#include "kernels/base/backend.h"
#include "kernels/ops/elementwise.h"

namespace tandem {
namespace {

constexpr std::int64_t kBlock = EightBitMoments::kBlock;
constexpr auto kScale = static_cast<std::int64_t>(sizeof(float));

class ResidentStates final : public EightBitStates {
public:
    ResidentStates(const std::vector<BucketMoments>& buckets, Context ctx, DeviceMemory& memory) {
        for (std::size_t b = 0; b < buckets.size(); ++b) {
            Bucket bucket{buckets[b].eight_bit, {}};
            const std::string name = fmt::format("bucket {} 8-bit moments", b);
            bucket.bytes = memory[MemoryKind::Optimizer].allocate(name, DType::U8, {eight_bit_bytes(buckets[b].most_eight_bit)});
            ops::zero(ctx, bucket.bytes);
            buckets_.push_back(bucket);
        }
    }

    void visit(Context&, std::size_t bucket, const Work& work) override {
        const Bucket& b = buckets_.at(bucket);
        if (b.elements > 0) work(eight_bit_view(b.bytes, b.elements), 0, b.elements);
    }

    void read(Context& ctx, std::size_t bucket, StatePart part, std::int64_t first, std::span<std::byte> values) override {
        ctx.backend.copy_to_host(ctx.stream, place(bucket, part, first, values.size()), values.data());
        ctx.stream.synchronize();
    }

    void write(Context& ctx, std::size_t bucket, StatePart part, std::int64_t first, std::span<const std::byte> values) override {
        ctx.backend.copy_from_host(ctx.stream, values.data(), place(bucket, part, first, values.size()));
        ctx.stream.synchronize();
    }

private:
    struct Bucket {
        std::int64_t elements;
        Tensor bytes;
    };

    [[nodiscard]] Tensor place(std::size_t bucket, StatePart part, std::int64_t first, std::size_t bytes) const {
        const Bucket& b = buckets_.at(bucket);
        const std::int64_t at = eight_bit_offset(b.elements, part, first);
        return b.bytes.rows(at, at + static_cast<std::int64_t>(bytes));
    }

    std::vector<Bucket> buckets_;
};

}  // namespace

std::int64_t eight_bit_bytes(std::int64_t elements) { return 2 * elements + 2 * (elements / kBlock) * kScale; }

std::int64_t eight_bit_offset(std::int64_t elements, StatePart part, std::int64_t index) {
    require(is_codes(part) || is_absmax(part), "{} is not in eight bits", name(part));
    const bool second = part == StatePart::SecondCodes || part == StatePart::SecondAbsmax;
    if (is_codes(part)) return (second ? elements : 0) + index;
    return 2 * elements + ((second ? elements / kBlock : 0) + index) * kScale;
}

EightBitMoments eight_bit_view(const Tensor& bytes, std::int64_t elements) {
    require(elements % kBlock == 0 && bytes.elements() >= eight_bit_bytes(elements), "{} for the 8-bit moments of {} elements", bytes.str(),
            elements);
    const auto view = [&](StatePart part, DType dtype, std::int64_t n) {
        return Tensor(static_cast<std::byte*>(bytes.raw()) + eight_bit_offset(elements, part, 0), dtype, {n});
    };
    return {view(StatePart::FirstCodes, DType::U8, elements), view(StatePart::SecondCodes, DType::U8, elements),
            view(StatePart::FirstAbsmax, DType::F32, elements / kBlock), view(StatePart::SecondAbsmax, DType::F32, elements / kBlock)};
}

std::unique_ptr<EightBitStates> make_resident_states(const std::vector<BucketMoments>& buckets, Context ctx, DeviceMemory& memory) {
    return std::make_unique<ResidentStates>(buckets, ctx, memory);
}

}  // namespace tandem
