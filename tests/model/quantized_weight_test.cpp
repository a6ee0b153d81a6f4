// Four-bit weights over tensor-parallel ranks: a box has the very values of the whole matrix, wherever blocks begin and end, and whether
// the blocks come from values or from a file.
#include "src/model/quantized_weight.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "kernels/base/backend.h"
#include "kernels/base/philox.h"
#include "kernels/ops/quantization.h"
#include "kernels/quant/four_bit.h"
#include "tests/support/ranks.h"

namespace tandem::test {
namespace {

/// A matrix in memory, as values or as blocks of them.
class MemorySource final : public WeightSource {
public:
    MemorySource(std::int64_t rows, std::int64_t columns) : columns_(columns), values_(static_cast<std::size_t>(rows * columns)) {
        for (std::size_t i = 0; i < values_.size(); ++i) {
            const auto words = philox(3, 1, i);
            values_[i] = static_cast<float>(0.02 * standard_normal(words[0], words[1]));
        }
        // A block of zeros and an outlier are where scales go wrong first.
        std::fill_n(values_.begin(), std::min<std::size_t>(values_.size(), 70), 0.0F);
        values_.back() = 3.0F;
    }
    void keep_blocks(const QuantizationSpec& spec) {
        std::vector<std::uint8_t> codes(values_.size());
        std::vector<float> absmax((values_.size() + static_cast<std::size_t>(spec.block_size) - 1) /
                                  static_cast<std::size_t>(spec.block_size));
        quantize_blocks(spec.type, spec.block_size, values_, codes, absmax);
        codes.push_back(0);
        packed_.clear();
        for (std::size_t i = 0; i + 1 < codes.size(); i += 2) packed_.push_back(static_cast<std::uint8_t>(codes[i] << 4U | codes[i + 1]));
        scales_ = spec.double_quant ? quantize_scales(absmax) : BlockScales{.absmax = absmax, .codes = {}, .nested = {}, .offset = 0};
    }
    void read(const Parameter&, const Box& box, DType dtype, std::byte* out) const override {
        ASSERT_EQ(dtype, DType::F32);
        auto* to = reinterpret_cast<float*>(out);
        for (std::int64_t i = 0; i < box.shape[0]; ++i) {
            const auto* from = values_.data() + (box.offset[0] + i) * columns_ + box.offset[1];
            to = std::copy(from, from + box.shape[1], to);
        }
    }
    [[nodiscard]] bool has_blocks(const Parameter&) const override { return !packed_.empty(); }
    void read_codes(const Parameter&, std::int64_t first, std::span<std::uint8_t> out) const override {
        std::copy_n(packed_.begin() + first, out.size(), out.begin());
    }
    [[nodiscard]] BlockScales read_scales(const Parameter&) const override { return scales_; }

private:
    std::int64_t columns_;
    std::vector<float> values_;
    std::vector<std::uint8_t> packed_;
    BlockScales scales_;
};

struct Filled {
    std::unique_ptr<Backend> backend = make_ref_backend();
    std::unique_ptr<Stream> stream = backend->make_stream();
    DeviceMemory memory{*backend, std::size_t{1} << 26U};
    Context ctx{*backend, *stream, memory[MemoryKind::Workspace]};
    Parameter p;

    Filled(const Shape& global, const Box& box, const QuantizationSpec& spec, const WeightSource& source, Communicator& group) {
        p.name = "w";
        p.global = global;
        p.box = box;
        p.storage = box.shape;
        p.quantized = FourBitMatrix{
            .type = spec.type, .grid = grid_of(global, box, spec.block_size), .codes = {}, .absmax = {}, .nested = {}, .offset = {}};
        allocate_blocks(memory, spec, p);
        fill_blocks(ctx, TensorGroup(group), p, source, DType::F32);
    }
    [[nodiscard]] std::vector<float> values() {
        const Tensor matrix = dense(ctx, p, DType::F32);
        return {matrix.data<float>(), matrix.data<float>() + matrix.elements()};
    }
};

Box share(const Shape& global, int axis, int ranks, int rank) {
    const std::int64_t n = global[axis] / ranks;
    return axis == 0 ? Box{{rank * n, 0}, {n, global[1]}} : Box{{0, rank * n}, {global[0], n}};
}

struct SplitOfBlocks : testing::TestWithParam<std::tuple<std::int64_t, bool, bool>> {};

TEST_P(SplitOfBlocks, ABoxHasTheValuesOfTheWholeMatrix) {
    const auto& [block_size, double_quant, stored] = GetParam();
    const QuantizationSpec spec{.type = FourBit::NF4, .block_size = block_size, .double_quant = double_quant};
    const auto self = make_self_communicator();
    const int ranks = test_world().size();
    // Rows of whole blocks; blocks that go over the ends of rows; odd rows, so that boxes begin within a byte.
    for (const Shape& global : {Shape{12, 1536}, Shape{24, 96}, Shape{36, 60}, Shape{12, 12 * 11}, Shape{132, 12}}) {
        MemorySource source(global[0], global[1]);
        if (stored) source.keep_blocks(spec);
        const std::vector<float> whole = Filled(global, whole_box(global), spec, source, *self).values();
        ASSERT_GT(std::accumulate(whole.begin(), whole.end(), 0.0, [](double s, float x) { return s + std::abs(x); }), 1.0);
        for (const int axis : {0, 1}) {
            const Box box = share(global, axis, ranks, test_world().rank());
            const std::vector<float> own = Filled(global, box, spec, source, test_world()).values();
            for (std::int64_t i = 0; i < box.shape[0]; ++i) {
                for (std::int64_t j = 0; j < box.shape[1]; ++j) {
                    ASSERT_EQ(own[static_cast<std::size_t>(i * box.shape[1] + j)],
                              whole[static_cast<std::size_t>((box.offset[0] + i) * global[1] + box.offset[1] + j)])
                        << global.str() << " axis " << axis << " at " << i << ", " << j;
                }
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Blocks, SplitOfBlocks, testing::Combine(testing::Values(32, 64, 4096), testing::Bool(), testing::Bool()));

TEST(QuantizedWeight, IsWhatQuantisingAllOfItAtOnceGives) {
    // More than one stretch of staging: 2 Mi elements.
    const Shape global{1030, 4100};
    const MemorySource source(global[0], global[1]);
    MemorySource at_once(global[0], global[1]);
    const QuantizationSpec spec;
    at_once.keep_blocks(spec);
    const auto self = make_self_communicator();
    EXPECT_EQ(Filled(global, whole_box(global), spec, source, *self).values(),
              Filled(global, whole_box(global), spec, at_once, *self).values());
}

}  // namespace
}  // namespace tandem::test
