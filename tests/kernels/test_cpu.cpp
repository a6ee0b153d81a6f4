// What only the cpu backend has: its fast functions, its tilings, its cache of primitives, and results that do not depend on
// the number of threads. That its ops are right, test_conformance says.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "kernels/base/context.h"
#include "kernels/cpu/matmul_widened.h"
#include "kernels/cpu/simd.h"
#include "kernels/ops/attention.h"
#include "kernels/ops/bias.h"
#include "kernels/ops/cross_entropy.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/optimizer.h"
#include "kernels/ops/rmsnorm.h"

namespace tandem::test {

namespace {

class Host {
public:
    explicit Host(int threads)
        : backend_(make_cpu_backend(threads)),
          stream_(backend_->make_stream()),
          operands_(*backend_, MemoryKind::Activations, std::size_t{1} << 30U),
          workspace_(*backend_, MemoryKind::Workspace, std::size_t{256} << 20U),
          ctx{*backend_, *stream_, workspace_} {}

    Tensor zeros(DType type, const Shape& shape) {
        const Tensor x = operands_.allocate("operand", type, shape);
        std::memset(x.raw(), 0, x.bytes());
        return x;
    }
    Tensor normal(DType type, const Shape& shape, unsigned seed) {
        const Tensor x = zeros(type, shape);
        std::mt19937 generator(seed);
        std::normal_distribution<float> distribution;
        for (std::int64_t i = 0; i < x.elements(); ++i) {
            const float value = distribution(generator);
            dispatch_float(type, [&](auto tag) {
                using T = typename decltype(tag)::type;
                x.data<T>()[i] = T(value);
            });
        }
        return x;
    }
    Tensor integers(const std::vector<std::int32_t>& values) {
        const Tensor x = zeros(DType::I32, {static_cast<std::int64_t>(values.size())});
        std::memcpy(x.raw(), values.data(), x.bytes());
        return x;
    }
    [[nodiscard]] std::size_t workspace_peak() const { return workspace_.peak(); }

private:
    std::unique_ptr<Backend> backend_;
    std::unique_ptr<Stream> stream_;
    Arena operands_;
    Arena workspace_;

public:
    Context ctx;
};

std::vector<std::byte> bytes(const Tensor& x) {
    const auto* first = static_cast<const std::byte*>(x.raw());
    return {first, first + x.bytes()};
}

/// Distance in units of the last place of `expected` rounded to fp32.
double ulps(float value, double expected) {
    const auto rounded = static_cast<float>(expected);
    const double ulp = static_cast<double>(std::nextafter(std::abs(rounded), std::numeric_limits<float>::infinity())) - std::abs(rounded);
    return std::abs(static_cast<double>(value) - expected) / ulp;
}

/// Every op that sums over rows, on sizes that no tile or piece divides; all results in one list.
std::vector<std::vector<std::byte>> row_sums(int threads, DType type) {
    Host host(threads);
    auto& ctx = host.ctx;
    std::vector<std::vector<std::byte>> results;
    const auto keep = [&](std::initializer_list<Tensor> tensors) {
        for (const auto& x : tensors) results.push_back(bytes(x));
    };
    const Tensor offsets = host.integers({0, 150, 151, 301});
    const Segments segments{offsets, offsets, 150};
    const Attention params{.scale = 0.2, .window = 100};
    const Tensor q = host.normal(type, {301, 4, 24}, 1), k = host.normal(type, {301, 2, 24}, 2), v = host.normal(type, {301, 2, 24}, 3);
    const Tensor d_o = host.normal(type, q.shape(), 4), o = host.zeros(type, q.shape()), lse = host.zeros(DType::F32, {4, 301});
    const Tensor dq = host.zeros(type, q.shape()), dk = host.zeros(type, k.shape()), dv = host.zeros(type, k.shape());
    ops::attention(ctx, params, segments, q, k, v, o, lse);
    ops::attention_backward(ctx, params, segments, d_o, q, k, v, o, lse, dq, dk, dv);
    keep({o, lse, dq, dk, dv});

    const Tensor x = host.normal(type, {301, 1100}, 5), dy = host.normal(type, x.shape(), 6), w = host.normal(type, {1100}, 7);
    const Tensor y = host.zeros(type, x.shape()), rstd = host.zeros(DType::F32, {301}), dx = host.zeros(type, x.shape());
    const Tensor dw = host.zeros(DType::F32, {1100}), dbias = host.zeros(DType::F32, {1100}), sum = host.zeros(DType::F64, {1});
    ops::rmsnorm(ctx, {}, x, w, y, rstd);
    ops::rmsnorm_backward(ctx, {}, dy, x, w, rstd, dx, Write::Overwrite, dw);
    ops::bias_backward(ctx, dy, dbias);
    ops::sum_of_squares(ctx, x, sum);
    keep({y, dx, dw, dbias, sum});

    std::vector<std::int32_t> ids(301);
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * 7 % 13);
    const Tensor index = host.integers(ids), dtable = host.zeros(DType::F32, {13, 1100});
    ops::embedding_backward(ctx, dy, index, dtable);
    const Tensor logits = host.normal(DType::F32, {301, 1100}, 8), dlogits = host.zeros(type, logits.shape());
    const Tensor loss = host.zeros(DType::F64, {1});
    ops::cross_entropy(ctx, logits, index, loss, dlogits);
    const Tensor statistics = host.zeros(DType::F32, {2, 301, 3}), parted = host.zeros(type, logits.shape());
    const Tensor left = logits.columns(0, 700), right = logits.columns(700, 1100);
    std::vector<std::int32_t> nowhere(301, -1);
    const Tensor elsewhere = host.integers(nowhere);
    ops::cross_entropy_statistics(ctx, left, index, statistics.rows(0, 1).reshape({301, 3}));
    ops::cross_entropy_statistics(ctx, right, elsewhere, statistics.rows(1, 2).reshape({301, 3}));
    ops::cross_entropy_from_statistics(ctx, left, index, statistics, loss, parted.columns(0, 700));
    ops::cross_entropy_from_statistics(ctx, right, elsewhere, statistics, {}, parted.columns(700, 1100));
    keep({dtable, dlogits, loss, statistics, parted});
    return results;
}

}  // namespace

TEST(CpuMath, ExponentialIsAccurateToTwoUlp) {
    for (float x = -87.2F; x < 88.2F; x += 0.00137F) ASSERT_LE(ulps(cpu::exp_fast(x), std::exp(static_cast<double>(x))), 2.0) << x;
}

TEST(CpuMath, ExponentialAtTheEdges) {
    const float infinity = std::numeric_limits<float>::infinity();
    EXPECT_EQ(cpu::exp_fast(-infinity), 0.0F);
    EXPECT_EQ(cpu::exp_fast(-200.0F), 0.0F);
    EXPECT_EQ(cpu::exp_fast(0.0F), 1.0F);
    EXPECT_EQ(cpu::exp_fast(100.0F), infinity);
    EXPECT_EQ(cpu::exp_fast(infinity), infinity);
    EXPECT_TRUE(std::isnan(cpu::exp_fast(std::numeric_limits<float>::quiet_NaN())));
}

TEST(CpuMath, HyperbolicTangentIsAccurate) {
    for (float x = -12.0F; x < 12.0F; x += 0.00071F) ASSERT_LE(ulps(cpu::tanh_fast(x), std::tanh(static_cast<double>(x))), 4.0) << x;
    EXPECT_EQ(cpu::tanh_fast(100.0F), 1.0F);
    EXPECT_EQ(cpu::tanh_fast(-100.0F), -1.0F);
    EXPECT_EQ(cpu::tanh_fast(1e-20F), 1e-20F);
}

TEST(CpuMath, RoundingToSixteenBitsIsTheTypesOwn) {
    for (std::uint32_t high = 0; high < 0x10000U; ++high) {
        for (const std::uint32_t low : {0U, 1U, 0xfffU, 0x1000U, 0x1001U, 0x3000U, 0x7fffU, 0x8000U, 0x8001U, 0xffffU}) {
            const auto value = std::bit_cast<float>(high << 16U | low);
            std::uint16_t bf16 = 0;
            Float16 fp16;
            cpu::narrow(value, bf16);
            cpu::narrow(value, fp16);
            ASSERT_EQ(bf16, BFloat16(value).bits) << std::hex << high << ' ' << low;
            ASSERT_EQ(fp16.bits, Float16(value).bits) << std::hex << high << ' ' << low;
        }
    }
}

/// Lane by lane and number by number, for everything that fp16 has.
TEST(CpuMath, WideningFp16IsTheTypesOwn) {
    constexpr std::uint32_t kAll = 0x10000U;
    std::vector<Float16> x(kAll);
    for (std::uint32_t bits = 0; bits < kAll; ++bits) x[bits].bits = static_cast<std::uint16_t>(bits);
    for (std::uint32_t first = 0; first < kAll; first += cpu::kLanes) {
        cpu::Vector lanes;
        cpu::load_vector(x.data() + first, lanes);
        for (std::uint32_t i = 0; i < cpu::kLanes; ++i) {
            const auto want = std::bit_cast<std::uint32_t>(static_cast<float>(x[first + i]));
            ASSERT_EQ(std::bit_cast<std::uint32_t>(float{lanes[i]}), want) << std::hex << first + i;
            ASSERT_EQ(std::bit_cast<std::uint32_t>(cpu::widen(x[first + i])), want) << std::hex << first + i;
        }
    }
}

TEST(CpuThreads, SumsAreTheSameBitsForEveryNumberOfThreads) {
    for (const auto type : {DType::F32, DType::BF16, DType::F16}) {
        const auto one = row_sums(1, type);
        for (const int threads : {2, 3, 7}) {
            const auto several = row_sums(threads, type);
            for (std::size_t i = 0; i < one.size(); ++i) EXPECT_EQ(one[i], several[i]) << "result " << i << ", " << threads << " threads";
        }
    }
}

TEST(CpuMatmul, EvictedPrimitivesAreMadeAgain) {
    Host host(1);
    const Tensor a = host.normal(DType::F32, {700, 8}, 1), b = host.normal(DType::F32, {8, 8}, 2);
    const Tensor first = host.zeros(DType::F32, {5, 8}), again = host.zeros(DType::F32, {5, 8}), other = host.zeros(DType::F32, {700, 8});
    ops::matmul(host.ctx, a.rows(0, 5), b, first);
    for (std::int64_t m = 6; m < 700; ++m) ops::matmul(host.ctx, a.rows(0, m), b, other.rows(0, m));
    ops::matmul(host.ctx, a.rows(0, 5), b, again);
    EXPECT_EQ(bytes(first), bytes(again));
    for (std::int64_t i = 0; i < first.elements(); ++i) ASSERT_NEAR(first.data<float>()[i], other.data<float>()[i], 1e-4F) << i;
}

/// The path of processors without bf16 products, on more than one block in every direction, against fp32 operands.
TEST(CpuMatmul, WidenedProductEqualsTheFp32Product) {
    Host host(2);
    cpu::OneDnnMatmul onednn;
    const std::int64_t m = 520, n = 1030, k = 2100;
    for (const auto t : {Transpose::No, Transpose::Yes}) {
        const auto shape = [t](std::int64_t rows, std::int64_t columns) {
            return t == Transpose::No ? Shape{rows, columns} : Shape{columns, rows};
        };
        const Operand a{host.normal(DType::BF16, shape(m, k), 1), t}, b{host.normal(DType::BF16, shape(k, n), 2), t};
        const Operand a_wide{host.zeros(DType::F32, a.x.shape()), t}, b_wide{host.zeros(DType::F32, b.x.shape()), t};
        host.ctx.backend.cast(host.ctx, a.x, a_wide.x);
        host.ctx.backend.cast(host.ctx, b.x, b_wide.x);
        const Tensor c = host.normal(DType::BF16, {m, n}, 3), sum = host.zeros(DType::F32, {m, n});
        const Tensor expected = host.zeros(DType::F32, {m, n});
        host.ctx.backend.cast(host.ctx, c, expected);
        cpu::matmul_widened(host.ctx, onednn, 2, a, b, sum, 0.5, Write::Overwrite, cpu::Execution::Compute);
        cpu::matmul_widened(host.ctx, onednn, 2, a, b, c, 0.5, Write::Accumulate, cpu::Execution::Compute);
        ops::matmul(host.ctx, a_wide, b_wide, expected, 0.5, Write::Accumulate);
        for (std::int64_t i = 0; i < m * n; ++i) {
            const float e = expected.data<float>()[i];
            ASSERT_NEAR(static_cast<float>(c.data<BFloat16>()[i]), e, 0.004F * std::abs(e) + 0.001F) << i;
        }
        ops::matmul(host.ctx, a_wide, b_wide, expected, 0.5);
        for (std::int64_t i = 0; i < m * n; ++i) ASSERT_NEAR(sum.data<float>()[i], expected.data<float>()[i], 1e-3F) << i;
    }
    EXPECT_LE(host.workspace_peak(), std::size_t{16} << 20U);
}

TEST(CpuMatmul, AFewRowsEqualTheGeneralProduct) {
    Host host(2);
    for (const auto type : {DType::F32, DType::BF16, DType::F16}) {
        const Tensor w = host.normal(type, {67, 333}, 1), x = host.normal(type, {8, 333}, 2);
        const Tensor all = host.zeros(DType::F32, {8, 67}), few = host.zeros(DType::F32, {8, 67});
        ops::matmul(host.ctx, Operand{x}, transposed(w), all, 0.5);
        for (std::int64_t rows = 1; rows <= 4; ++rows) {
            ops::matmul(host.ctx, Operand{x.rows(0, rows)}, transposed(w), few.rows(0, rows), 0.5);
            for (std::int64_t i = 0; i < rows * 67; ++i) ASSERT_NEAR(few.data<float>()[i], all.data<float>()[i], 1e-4F) << rows << ' ' << i;
        }
    }
}

TEST(Cpu, RefusesATeamOfNone) {
    try {
        make_cpu_backend(0);
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.failure(), Failure::Configuration);
    }
}

}  // namespace tandem::test
