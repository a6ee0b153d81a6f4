#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/ops/attention.h"
#include "tests/kernels/op_case.h"

namespace tandem::test {

namespace {

struct Spec {
    std::string name;
    std::int64_t heads, kv_heads, d;
    std::vector<std::int64_t> lengths;  ///< queries of each sample
    std::int64_t window = 0;
    double softcap = 0.0;
    std::int64_t padding = 0;
    bool differences = true;              ///< small enough for finite differences
    std::vector<std::int64_t> keys = {};  ///< of each sample, where a cache holds more of them than there are queries
    double scale = 0.0;                   ///< 0 = 1 / sqrt(d)
};

std::vector<double> offsets(const std::vector<std::int64_t>& lengths) {
    std::vector<double> at = {0.0};
    for (const auto n : lengths) at.push_back(at.back() + static_cast<double>(n));
    return at;
}

Attention parameters(const Spec& s) { return {s.scale != 0.0 ? s.scale : 1.0 / std::sqrt(static_cast<double>(s.d)), s.window, s.softcap}; }

const std::vector<std::int64_t>& key_lengths(const Spec& s) { return s.keys.empty() ? s.lengths : s.keys; }

std::vector<OperandSpec> segment_operands(const Spec& s) {
    const auto count = static_cast<std::int64_t>(s.lengths.size()) + 1;
    return {{"q_offsets", {count}, Kind::Int32, values(offsets(s.lengths))},
            {"k_offsets", {count}, Kind::Int32, values(offsets(key_lengths(s)))}};
}

Segments segments(const Spec& s, const Operands& o) { return {o.at("q_offsets"), o.at("k_offsets"), std::ranges::max(key_lengths(s))}; }

OpCase separate(const Spec& s) {
    const auto params = parameters(s);
    const auto nq = std::accumulate(s.lengths.begin(), s.lengths.end(), std::int64_t{0});
    const auto nk = std::accumulate(key_lengths(s).begin(), key_lengths(s).end(), std::int64_t{0});
    const Shape q{nq, s.heads, s.d};
    const Shape k{nk, s.kv_heads, s.d};
    OpCase c;
    c.op = "attention";
    c.name = "attention_" + s.name;
    c.operands = segment_operands(s);
    for (const auto& operand : {input("q", q, s.padding), input("k", k, s.padding), input("v", k, s.padding), output("o", q, s.padding),
                                output("lse", {s.heads, nq}, 0, Kind::Accumulation)})
        c.operands.push_back(operand);
    c.forward = [=](Context& ctx, const Operands& o) {
        ops::attention(ctx, params, segments(s, o), o.at("q"), o.at("k"), o.at("v"), o.at("o"), o.at("lse"));
    };
    c.outputs = {"o"};
    if (!s.keys.empty()) return c;

    for (const auto& operand :
         {input("do", q, s.padding), output("dq", q, s.padding), output("dk", k, s.padding), output("dv", k, s.padding)})
        c.operands.push_back(operand);
    c.backward = [=](Context& ctx, const Operands& o) {
        ops::attention_backward(ctx, params, segments(s, o), o.at("do"), o.at("q"), o.at("k"), o.at("v"), o.at("o"), o.at("lse"),
                                o.at("dq"), o.at("dk"), o.at("dv"));
    };
    if (s.differences) c.inputs = {"q", "k", "v"};
    return c;
}

struct Parts {
    Tensor q, k, v;
};

/// q, k and v as column blocks of one matrix [n, (heads + 2 kv_heads) d].
Parts split(const Spec& s, const Tensor& qkv) {
    const auto n = qkv.extent(0);
    const auto q = s.heads * s.d;
    const auto k = s.kv_heads * s.d;
    return {qkv.columns(0, q).reshape({n, s.heads, s.d}), qkv.columns(q, q + k).reshape({n, s.kv_heads, s.d}),
            qkv.columns(q + k, q + 2 * k).reshape({n, s.kv_heads, s.d})};
}

OpCase fused(const Spec& s) {
    const auto params = parameters(s);
    const auto n = std::accumulate(s.lengths.begin(), s.lengths.end(), std::int64_t{0});
    const auto columns = (s.heads + 2 * s.kv_heads) * s.d;
    OpCase c;
    c.op = "attention";
    c.name = "attention_fused_" + s.name;
    c.operands = segment_operands(s);
    for (const auto& operand :
         {input("qkv", {n, columns}), output("o", {n, s.heads, s.d}), output("lse", {s.heads, n}, 0, Kind::Accumulation),
          input("do", {n, s.heads, s.d}), output("dqkv", {n, columns})})
        c.operands.push_back(operand);
    c.forward = [=](Context& ctx, const Operands& o) {
        const auto [q, k, v] = split(s, o.at("qkv"));
        ops::attention(ctx, params, segments(s, o), q, k, v, o.at("o"), o.at("lse"));
    };
    c.backward = [=](Context& ctx, const Operands& o) {
        const auto [q, k, v] = split(s, o.at("qkv"));
        const auto [dq, dk, dv] = split(s, o.at("dqkv"));
        ops::attention_backward(ctx, params, segments(s, o), o.at("do"), q, k, v, o.at("o"), o.at("lse"), dq, dk, dv);
    };
    c.outputs = {"o"};
    if (s.differences) c.inputs = {"qkv"};
    return c;
}

}  // namespace

std::vector<OpCase> attention_cases() {
    const std::vector<Spec> specs = {
        {"one_token", 1, 1, 4, {1}},
        {"plain", 2, 2, 4, {5}},
        {"gqa_packed", 4, 2, 6, {3, 1, 5}},
        {"mqa_window", 3, 1, 5, {9, 4}, 3},
        {"window_of_one", 2, 1, 4, {4, 3}, 1},
        {"softcap", 2, 1, 4, {6, 2}, 0, 1.5},
        {"softcap_window_strided", 4, 2, 8, {7, 5}, 4, 2.0, 3},
        {"empty_samples", 2, 2, 4, {0, 3, 0, 0, 2, 0}},
        {"scale", 2, 1, 4, {6}, 0, 0.0, 0, true, {}, 0.9},
        {"d64", 2, 1, 64, {70, 130, 1}, 0, 0.0, 0, false},
        {"d64_window", 2, 2, 64, {140, 33}, 40, 0.0, 8, false},
        {"d80_softcap", 2, 1, 80, {65}, 0, 5.0, 0, false},
        {"d128", 1, 1, 128, {129}, 0, 0.0, 0, false},
        {"d256", 1, 1, 256, {34, 31}, 16, 0.0, 0, false},
        // Around the tiles of the kernels on tensor cores: 16 to 128 queries, 16 to 64 keys, heads in 64, 96, 128 or 256 columns.
        {"d16_around_tiles", 1, 1, 16, {1, 63, 64, 65, 130}, 0, 0.0, 0, false},
        {"d32_gqa7", 7, 1, 32, {33, 20}, 0, 0.0, 0, false},
        {"d64_steep", 1, 1, 64, {140}, 0, 0.0, 0, false, {}, 0.5},
        {"d96_window_strided", 2, 1, 96, {70}, 33, 0.0, 8, false},
        {"d112", 1, 1, 112, {47}, 0, 0.0, 0, false},
        {"d128_gqa_window_softcap_strided", 2, 1, 128, {70, 20}, 40, 3.0, 8, false},
        {"d192", 1, 1, 192, {35}, 0, 0.0, 0, false},
        {"d256_softcap", 1, 1, 256, {66}, 0, 4.0, 0, false},
        {"d264_plain", 1, 1, 264, {9}, 0, 0.0, 0, false},
        {"d80_strided_after_cache", 2, 1, 80, {3, 66}, 0, 0.0, 8, false, {70, 66}},
        {"d128_window_after_cache", 1, 1, 128, {5, 1}, 20, 0.0, 0, false, {150, 33}},
        {"negative_scale", 1, 1, 16, {9}, 0, 0.0, 0, false, {}, -0.5},
        {"many_short", 2, 1, 16, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 1, 1, 17}, 0, 0.0, 0, false},
        {"decode", 4, 2, 16, {1, 1, 1}, 0, 0.0, 0, true, {7, 1, 70}},
        {"decode_window", 4, 2, 16, {1, 2}, 5, 0.0, 3, true, {7, 40}},
        {"prefill_after_cache", 2, 1, 64, {40, 3}, 0, 0.0, 0, true, {105, 3}},
    };
    std::vector<OpCase> cases;
    for (const auto& s : specs) cases.push_back(separate(s));
    cases.push_back(fused({"gqa_packed", 4, 2, 6, {3, 1, 5}}));
    cases.push_back(fused({"window_softcap", 2, 1, 8, {8, 6}, 3, 2.0}));
    cases.push_back(fused({"d40_gqa", 4, 2, 40, {35, 2}, 0, 0.0, 0, false}));
    return cases;
}

}  // namespace tandem::test
