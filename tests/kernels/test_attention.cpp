// Attention against the S x S matrix it avoids, and what packing must not do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/ops/attention.h"
#include "tests/kernels/device.h"

namespace tandem::test {

namespace {

/// softmax(mask(cap(scale q k^T))) v, with everything in memory.
std::vector<double> by_matrix(const Attention& params, const std::vector<double>& q, const std::vector<double>& k,
                              const std::vector<double>& v, std::size_t heads, std::size_t kv_heads, std::size_t d,
                              const std::vector<int>& sample_of_q, const std::vector<int>& position_of_q,
                              const std::vector<int>& sample_of_k, const std::vector<int>& position_of_k) {
    std::vector<double> o(q.size(), 0.0);
    for (std::size_t h = 0; h < heads; ++h) {
        const auto hk = h * kv_heads / heads;
        for (std::size_t i = 0; i < sample_of_q.size(); ++i) {
            std::vector<double> p(sample_of_k.size(), 0.0);
            double sum = 0.0;
            for (std::size_t j = 0; j < p.size(); ++j) {
                const int back = position_of_q[i] - position_of_k[j];
                if (sample_of_q[i] != sample_of_k[j] || back < 0 || (params.window > 0 && back >= params.window)) continue;
                double s = 0.0;
                for (std::size_t c = 0; c < d; ++c) s += q[(i * heads + h) * d + c] * k[(j * kv_heads + hk) * d + c];
                s *= params.scale;
                if (params.softcap > 0.0) s = params.softcap * std::tanh(s / params.softcap);
                sum += p[j] = std::exp(s);
            }
            for (std::size_t j = 0; j < p.size(); ++j)
                for (std::size_t c = 0; c < d; ++c) o[(i * heads + h) * d + c] += p[j] / sum * v[(j * kv_heads + hk) * d + c];
        }
    }
    return o;
}

struct Packed {
    std::vector<double> q_offsets, k_offsets;
    std::vector<int> sample_of_q, position_of_q, sample_of_k, position_of_k;
};

Packed pack(const std::vector<std::pair<int, int>>& samples) {
    Packed p{{0.0}, {0.0}, {}, {}, {}, {}};
    int b = 0;
    for (const auto& [nq, nk] : samples) {
        for (int i = 0; i < nq; ++i) p.sample_of_q.push_back(b), p.position_of_q.push_back(nk - nq + i);
        for (int j = 0; j < nk; ++j) p.sample_of_k.push_back(b), p.position_of_k.push_back(j);
        p.q_offsets.push_back(p.q_offsets.back() + nq);
        p.k_offsets.push_back(p.k_offsets.back() + nk);
        ++b;
    }
    return p;
}

void expect_as_by_matrix(const Attention& params, std::int64_t heads, std::int64_t kv_heads, std::int64_t d,
                         const std::vector<std::pair<int, int>>& samples) {
    Device device;
    const auto packed = pack(samples);
    const auto count = static_cast<std::int64_t>(packed.q_offsets.size());
    const auto nq = static_cast<std::int64_t>(packed.sample_of_q.size());
    const auto nk = static_cast<std::int64_t>(packed.sample_of_k.size());
    const Segments segments{device.tensor({count}, DType::I32, packed.q_offsets), device.tensor({count}, DType::I32, packed.k_offsets),
                            100};
    const auto q = device.random({nq, heads, d}, DType::F64, 1);
    const auto k = device.random({nk, kv_heads, d}, DType::F64, 2);
    const auto v = device.random({nk, kv_heads, d}, DType::F64, 3);
    const auto o = device.filled({nq, heads, d}, DType::F64, NAN);
    const auto lse = device.filled({heads, nq}, DType::F64, NAN);
    ops::attention(device.context(), params, segments, q, k, v, o, lse);
    const auto found = device.numbers(o);
    const auto expected = by_matrix(params, device.numbers(q), device.numbers(k), device.numbers(v), static_cast<std::size_t>(heads),
                                    static_cast<std::size_t>(kv_heads), static_cast<std::size_t>(d), packed.sample_of_q,
                                    packed.position_of_q, packed.sample_of_k, packed.position_of_k);
    for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], 1e-13) << "element " << i;
}

/// o, dq, dk, dv of two packed samples of 5 and 7 tokens, by token; q, k, v, do as given.
std::vector<std::vector<double>> packed_pass(Device& device, DType type, const std::vector<Tensor>& inputs) {
    const Segments segments{device.tensor({3}, DType::I32, {0, 5, 12}), device.tensor({3}, DType::I32, {0, 5, 12}), 7};
    const Attention params{0.5, 0, 0.0};
    const auto o = device.filled({12, 4, 8}, type, NAN);
    const auto lse = device.filled({4, 12}, accumulation_type(type), NAN);
    const auto dq = device.filled({12, 4, 8}, type, NAN);
    const auto dk = device.filled({12, 2, 8}, type, NAN);
    const auto dv = device.filled({12, 2, 8}, type, NAN);
    ops::attention(device.context(), params, segments, inputs[0], inputs[1], inputs[2], o, lse);
    ops::attention_backward(device.context(), params, segments, inputs[3], inputs[0], inputs[1], inputs[2], o, lse, dq, dk, dv);
    return {device.numbers(o), device.numbers(dq), device.numbers(dk), device.numbers(dv)};
}

}  // namespace

TEST(Attention, EqualsTheFullMatrix) {
    expect_as_by_matrix({0.4, 0, 0.0}, 2, 2, 5, {{6, 6}});
    expect_as_by_matrix({0.4, 0, 0.0}, 6, 2, 4, {{3, 3}, {0, 0}, {1, 1}, {5, 5}});
    expect_as_by_matrix({0.4, 3, 0.0}, 2, 1, 4, {{9, 9}, {2, 2}});
    expect_as_by_matrix({1.4, 4, 2.0}, 2, 1, 4, {{9, 9}, {2, 2}});
    expect_as_by_matrix({0.4, 0, 0.0}, 4, 2, 4, {{1, 7}, {2, 2}, {3, 11}});  // more keys than queries
    expect_as_by_matrix({0.4, 4, 0.0}, 4, 2, 4, {{1, 7}, {2, 2}, {3, 11}});
}

TEST(Attention, LargeScoresDoNotOverflow) {
    Device device;
    const Segments segments{device.tensor({2}, DType::I32, {0, 2}), device.tensor({2}, DType::I32, {0, 2}), 2};
    const auto q = device.tensor({2, 1, 1}, DType::F32, {1e4, 1e4});
    const auto k = device.tensor({2, 1, 1}, DType::F32, {-1.0, 1.0});
    const auto v = device.tensor({2, 1, 1}, DType::F32, {3.0, 5.0});
    const auto o = device.filled({2, 1, 1}, DType::F32, NAN);
    const auto lse = device.filled({1, 2}, DType::F32, NAN);
    ops::attention(device.context(), {1.0, 0, 0.0}, segments, q, k, v, o, lse);
    EXPECT_EQ(device.numbers(o), (std::vector<double>{3.0, 5.0}));
    EXPECT_EQ(device.numbers(lse), (std::vector<double>{-1e4, 1e4}));
}

class AttentionOn : public testing::TestWithParam<DType> {};

TEST_P(AttentionOn, PackedSamplesDoNotSeeEachOther) {
    Device device;
    const auto type = GetParam();
    const std::vector<Tensor> inputs = {device.random({12, 4, 8}, type, 1), device.random({12, 2, 8}, type, 2),
                                        device.random({12, 2, 8}, type, 3), device.random({12, 4, 8}, type, 4)};
    const auto before = packed_pass(device, type, inputs);
    // Everything of the first sample changes; a value that no bound of a score or of a rescaling would hide.
    for (const auto& x : inputs) {
        const auto other = device.filled({5, x.extent(1), x.extent(2)}, type, 100.0);
        std::memcpy(x.raw(), other.raw(), other.bytes());
    }
    const auto after = packed_pass(device, type, inputs);
    for (std::size_t r = 0; r < before.size(); ++r) {
        const auto first_of_second = static_cast<std::ptrdiff_t>(before[r].size() / 12 * 5);
        EXPECT_TRUE(std::equal(before[r].begin() + first_of_second, before[r].end(), after[r].begin() + first_of_second)) << "result " << r;
        EXPECT_FALSE(std::equal(before[r].begin(), before[r].begin() + first_of_second, after[r].begin())) << "no effect on result " << r;
    }
}

INSTANTIATE_TEST_SUITE_P(, AttentionOn, testing::Values(DType::F64, DType::F32, DType::BF16, DType::F16),
                         [](const auto& row) { return std::string(name(row.param)); });

TEST(Attention, ImpossibleSamplesAreErrors) {
    Device device;
    const auto q = device.random({3, 1, 2}, DType::F32, 1);
    const auto o = device.filled({3, 1, 2}, DType::F32, 0);
    const auto lse = device.filled({1, 3}, DType::F32, 0);
    const auto run = [&](std::vector<double> at_q, std::vector<double> at_k, std::int64_t longest) {
        const Segments s{device.tensor({3}, DType::I32, at_q), device.tensor({3}, DType::I32, at_k), longest};
        ops::attention(device.context(), {}, s, q, q, q, o, lse);
    };
    EXPECT_NO_THROW(run({0, 1, 3}, {0, 1, 3}, 2));
    EXPECT_THROW(run({0, 1, 2}, {0, 1, 3}, 2), Error);  // a query outside every sample
    EXPECT_THROW(run({0, 2, 3}, {0, 1, 3}, 2), Error);  // more queries than keys
    EXPECT_THROW(run({0, 4, 3}, {0, 4, 3}, 4), Error);  // not ascending
    EXPECT_THROW(run({0, 1, 3}, {0, 1, 3}, 1), Error);  // longer than declared
}

}  // namespace tandem::test
