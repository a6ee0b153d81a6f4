// The proof of a library's plan: a few samples through it and through own kernels, on the device.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/base/philox.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/library_attention.h"
#include "kernels/cuda/queue.h"
#include "kernels/cuda/runtime.h"

namespace tandem::cuda {

namespace {

/// Tokens of known samples before and behind the longest, which so begins and ends in the midst of a tile. Behind the last there are
/// empty ones, up to the plan's number.
constexpr std::array<std::int32_t, 3> kBefore = {1, 37, 0};
constexpr std::int32_t kBehind = 2;
constexpr std::int64_t kOthers = 1 + 37 + kBehind;
/// Libraries take keys and queries in tiles of up to 128: the longest sample has some of each.
constexpr std::int64_t kMostTokens = 299;
/// Rows behind the last token: of results, they must stay as they are; of inputs, reading them shows.
constexpr std::int64_t kGuard = 32;
/// Not a number, of either type: where no input is, and where nothing has been written.
constexpr std::uint16_t kNothing = 0x7FFF;
constexpr double kLseBound = 1e-3;  ///< both sum in fp32

DType dtype(Element type) { return type == Element::BF16 ? DType::BF16 : DType::F16; }
/// Of values below 1: probabilities and results are rounded to the type, by either side.
double bound(Element type) { return 4 * (type == Element::BF16 ? 0x1p-8 : 0x1p-11); }

void copy_in(const void* from, std::size_t bytes, void* to, StreamHandle stream) {
    check(copy(RowsCopy{to, bytes, from, bytes, bytes, 1}, Direction::HostToDevice, stream->flushed()), "known samples");
}
template <class T>
std::vector<T> copy_out(const void* from, std::size_t count, StreamHandle stream) {
    std::vector<T> all(count);
    const std::size_t bytes = count * sizeof(T);
    check(copy(RowsCopy{all.data(), bytes, from, bytes, bytes, 1}, Direction::DeviceToHost, stream->flushed()), "known samples");
    return all;
}

std::vector<std::int32_t> sample_offsets(int longest) {
    std::vector<std::int32_t> offsets = {0};
    for (const std::int32_t tokens : kBefore) offsets.push_back(offsets.back() + tokens);
    offsets.push_back(offsets.back() + longest);
    offsets.push_back(offsets.back() + kBehind);
    return offsets;
}

/// `columns` random numbers in (-reach, reach) in each of `tokens` rows, and nothing around them.
struct Noise {
    std::int64_t tokens, columns, stride;
    float reach;
    std::uint64_t key;
};
Rows place(Arena& arena, Element type, const Noise& what, StreamHandle stream) {
    const Tensor x = arena.allocate("known samples", dtype(type), {what.tokens + kGuard, what.stride});
    std::vector<std::uint16_t> host(static_cast<std::size_t>(x.elements()), kNothing);
    std::uint64_t number = 0;
    for (std::int64_t row = 0; row < what.tokens; ++row) {
        for (std::int64_t column = 0; column < what.columns; ++column) {
            const float value = what.reach * (2.0F * uniform01(philox(what.key, 0, number++)[0]) - 1.0F);
            host[static_cast<std::size_t>(row * what.stride + column)] = type == Element::F16 ? Float16(value).bits : BFloat16(value).bits;
        }
    }
    copy_in(host.data(), x.bytes(), x.raw(), stream);
    return {x.raw(), type, what.stride};
}

/// One side's results on the host, with strides and guard.
struct Results {
    std::vector<std::uint16_t> o;
    std::vector<float> lse;
    [[nodiscard]] double at(std::size_t i, Element type) const {
        const auto value = [&]<class T>(T x) {
            x.bits = o[i];
            return static_cast<double>(static_cast<float>(x));
        };
        return type == Element::F16 ? value(Float16{}) : value(BFloat16{});
    }
    bool operator==(const Results&) const = default;
};

std::string compare(const AttentionPlan& plan, std::size_t tokens, const Results& own, const Results& other) {
    const auto stride = static_cast<std::size_t>(plan.o_stride), width = static_cast<std::size_t>(plan.heads * plan.head_dim);
    for (std::size_t i = 0; i < own.lse.size(); ++i) {
        if (!(std::abs(own.lse[i] - other.lse[i]) <= kLseBound * (1.0 + std::abs(own.lse[i]))))
            return fmt::format("lse of head {}, token {} is {} and not {}", i / tokens, i % tokens, other.lse[i], own.lse[i]);
    }
    for (std::size_t i = 0; i < own.o.size(); ++i) {
        const std::size_t token = i / stride, column = i % stride;
        if (token >= tokens || column >= width) {
            if (other.o[i] != kNothing) return fmt::format("it writes to column {} of row {}, outside of the result", column, token);
        } else if (!(std::abs(own.at(i, plan.type) - other.at(i, plan.type)) <= bound(plan.type))) {
            return fmt::format("o of token {}, column {} is {} and not {}", token, column, other.at(i, plan.type), own.at(i, plan.type));
        }
    }
    return "";
}

}  // namespace

int longest_known_sample(const AttentionPlan& plan, std::size_t workspace, std::size_t bytes) {
    const std::int64_t elements = plan.q_stride + plan.k_stride + plan.v_stride + plan.o_stride;
    const std::int64_t of_token = 2 * elements + 2 * std::int64_t{4} * plan.heads;  // logarithms of sums come in two orders
    const auto others = static_cast<std::int64_t>(workspace + table_bytes(plan) + 8 * Arena::kAlignment);
    const std::int64_t room = (static_cast<std::int64_t>(bytes) - others) / of_token - kGuard - kOthers;
    return static_cast<int>(std::clamp<std::int64_t>(room, 0, std::min<std::int64_t>(kMostTokens, plan.length)));
}

std::string LibraryAttention::difference(const AttentionPlan& plan, std::size_t workspace, int longest, const Tensor& space,
                                         StreamHandle stream) {
    Arena arena(MemoryKind::Workspace, space);
    const std::vector<std::int32_t> host = sample_offsets(longest);
    const std::int64_t tokens = host.back();
    auto* offsets = arena.allocate("known samples", DType::I32, {std::ssize(host)}).data<std::int32_t>();
    copy_in(host.data(), host.size() * sizeof(std::int32_t), offsets, stream);
    const AttentionShape shape{.samples = {.q = offsets,
                                           .k = offsets,
                                           .count = static_cast<int>(std::ssize(host)) - 1,
                                           .max_length = longest,
                                           .q_tokens = static_cast<int>(tokens),
                                           .k_tokens = static_cast<int>(tokens)},
                               .heads = plan.heads,
                               .kv_heads = plan.kv_heads,
                               .head_dim = plan.head_dim,
                               .scale = plan.scale,
                               .softcap = 0.0F,
                               .window = plan.window > 0 ? std::min(plan.window, longest) : longest};
    // Scores as far apart as trained models have them, so that a key too many or too few shows.
    const std::int64_t wide = std::int64_t{plan.heads} * plan.head_dim, narrow = std::int64_t{plan.kv_heads} * plan.head_dim;
    const AttentionInputs in{place(arena, plan.type, {tokens, wide, plan.q_stride, 3.0F, 1}, stream),
                             place(arena, plan.type, {tokens, narrow, plan.k_stride, 3.0F, 2}, stream),
                             place(arena, plan.type, {tokens, narrow, plan.v_stride, 1.0F, 3}, stream)};
    const Tensor lse_by_tokens = arena.allocate("known samples", DType::F32, {tokens + kGuard, plan.heads});
    const std::vector<float> nothing(static_cast<std::size_t>(lse_by_tokens.elements()), std::numeric_limits<float>::quiet_NaN());
    auto* lse = arena.allocate("known samples", DType::F32, {plan.heads, tokens}).data<float>();
    const auto results = [&](const auto& run) {
        const ArenaScope scope(arena);
        const Rows o = place(arena, plan.type, {tokens, 0, plan.o_stride, 0.0F, 0}, stream);
        run(o);
        return Results{copy_out<std::uint16_t>(o.data, static_cast<std::size_t>((tokens + kGuard) * plan.o_stride), stream),
                       copy_out<float>(lse, static_cast<std::size_t>(plan.heads * tokens), stream)};
    };
    const auto by_library = [&](const Rows& o) {
        copy_in(nothing.data(), lse_by_tokens.bytes(), lse_by_tokens.raw(), stream);
        compute(plan, workspace, {shape.samples, in, o, lse_by_tokens.data<float>(), lse}, arena, stream);
    };
    const Results own = results([&](const Rows& o) { check(launch_attention(shape, in, o, lse, stream), "known samples"); });
    const Results other = results(by_library);
    if (std::string wrong = compare(plan, static_cast<std::size_t>(tokens), own, other); !wrong.empty()) return wrong;
    const auto guard =
        copy_out<float>(lse_by_tokens.rows(tokens, tokens + kGuard).raw(), static_cast<std::size_t>(kGuard * plan.heads), stream);
    if (!std::ranges::all_of(guard, [](float x) { return std::isnan(x); })) return "it writes lse behind the last token";
    return results(by_library) == other ? "" : "it computes other bits each time";
}

}  // namespace tandem::cuda
