#include "kernels/cuda/rmsnorm.cuh"

#include <algorithm>

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"

namespace tandem::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kHeld = 4;  ///< packs of a row that a thread keeps in registers; what is beyond them is read again

template <class T>
constexpr int kVector = 16 / static_cast<int>(sizeof(T));

template <int kTeam>
constexpr int kTeams = kThreads / kTeam;  ///< of a block

/// kTeam threads share a row: a warp where it holds all of it, else the block. Thread `member` has packs of kCount columns, kTeam packs
/// apart.
template <int kTeam, int kCount>
struct Team {
    static constexpr int kHeldColumns = kHeld * kTeam * kCount;
    int number = static_cast<int>(threadIdx.x) / kTeam;
    int member = static_cast<int>(threadIdx.x) % kTeam;

    /// f(slot, column) for each pack of the thread; slot counts those that are held, and is -1 beyond them.
    template <class F>
    __device__ void for_packs(int columns, F f) const {
#pragma unroll
        for (int slot = 0; slot < kHeld; ++slot) {
            const int j = (slot * kTeam + member) * kCount;
            if (j < columns) f(slot, j);
        }
#pragma unroll 1  // rows this long are rare, and the registers are wanted for what is held
        for (int j = kHeldColumns + member * kCount; j < columns; j += kTeam * kCount) f(-1, j);
    }
    __device__ float sum(float x, float* scratch) const {
        if constexpr (kTeam == kWarp) return reduce_warp(x, Sum{});
        else return reduce_block<kTeam>(x, Sum{}, scratch);
    }
};

/// A row, of which a thread holds its first packs. They are read together: a pack's numbers are not touched before the next pack has been
/// asked for, or each read would wait for the one before it.
template <class T, int kTeam, int kCount>
struct HeldRow {
    const T* x;
    Pack<T, kCount> held[kHeld] = {};

    __device__ HeldRow(const T* row, const Team<kTeam, kCount>& team, int columns) : x(row) {
#pragma unroll
        for (int slot = 0; slot < kHeld; ++slot) {
            const int j = (slot * kTeam + team.member) * kCount;
            if (j < columns) held[slot] = load<kCount>(x + j);
        }
    }
    __device__ Pack<T, kCount> at(int slot, int j) const {
        if (slot >= 0) return held[slot];
        return load<kCount>(x + j);
    }
};

template <class T>
struct Norm {
    Extent extent;
    Matrix<const T> x;
    const T* w;
    float eps, offset;
};

struct BlockSums {
    float at[kThreads / kWarp];
};

// rstd = 1 / sqrt(mean x^2 + eps);  y = x rstd (o + w), x rstd rounded where o is 0. Bytes: x and y once. y may be x.
template <class T, int kTeam, int kCount>
__global__ void __launch_bounds__(kThreads, 2) forward(Norm<T> norm, Matrix<T> y, float* rstd) {
    const Team<kTeam, kCount> team;
    auto& scratch = shared<BlockSums>();
    const auto h = static_cast<int>(norm.extent.columns);
    for (std::int64_t i = std::int64_t{blockIdx.x} * kTeams<kTeam> + team.number; i < norm.extent.rows;
         i += std::int64_t{gridDim.x} * kTeams<kTeam>) {
        const HeldRow<T, kTeam, kCount> x(norm.x.data + i * norm.x.stride, team, h);
        float squares = 0.0F;
        team.for_packs(h, [&](int slot, int j) {
            const auto pack = x.at(slot, j);
#pragma unroll
            for (int e = 0; e < kCount; ++e) squares = fmaf(widen(pack.at[e]), widen(pack.at[e]), squares);
        });
        const float r = 1.0F / sqrtf(team.sum(squares, scratch.at) / static_cast<float>(h) + norm.eps);
        if (rstd != nullptr && team.member == 0) rstd[i] = r;
        team.for_packs(h, [&](int slot, int j) {
            const auto in = x.at(slot, j), w = load<kCount>(norm.w + j);
            Pack<T, kCount> out;
#pragma unroll
            for (int e = 0; e < kCount; ++e) {
                const float normalized = widen(in.at[e]) * r, weight = widen(w.at[e]);
                out.at[e] = narrow<T>(norm.offset == 0.0F ? widen(narrow<T>(normalized)) * weight : normalized * (norm.offset + weight));
            }
            store(y.data + i * y.stride + j, out);
        });
    }
}

enum class WeightGradient { No, Yes };

/// Sums of the columns over the rows of each warp.
template <int kCount>
using WarpSums = float[kTeams<kWarp>][Team<kWarp, kCount>::kHeldColumns];

/// A block's share of dw: sums in registers for the columns that are held, in place for the others, which are one thread's as well.
template <int kTeam, int kCount>
struct WeightSums {
    float* partial;  ///< [columns], of the block
    float held[kHeld][kCount] = {};

    template <class T>
    __device__ void add(int slot, int j, bool first_row, const Pack<T, kCount>& dy, const Pack<T, kCount>& x, float r) {
#pragma unroll
        for (int e = 0; e < kCount; ++e) {
            const float share = widen(dy.at[e]) * (widen(x.at[e]) * r);
            if (slot >= 0) held[slot][e] += share;
            else partial[j + e] = first_row ? share : partial[j + e] + share;
        }
    }
    /// Where warps have rows of their own, their sums are added in the order of the warps. All threads of the block call it.
    __device__ void store_held(const Team<kTeam, kCount>& team, int columns) {
        float* own = partial;
        if constexpr (kTeam == kWarp) own = shared<WarpSums<kCount>>()[team.number];
        team.for_packs(columns, [&](int slot, int j) {
#pragma unroll
            for (int e = 0; e < kCount; ++e)
                if (slot >= 0) own[j + e] = held[slot][e];
        });
        if constexpr (kTeam == kWarp) {
            const auto& of_warps = shared<WarpSums<kCount>>();
            __syncthreads();
            for (int j = static_cast<int>(threadIdx.x); j < columns; j += kThreads) {
                float sum = of_warps[0][j];
                for (int warp = 1; warp < kTeams<kTeam>; ++warp) sum += of_warps[warp][j];
                partial[j] = sum;
            }
        }
    }
};

// g = dy (o + w);  dx = rstd (g - x rstd^2 mean(g x));  dw = sum_i dy x rstd. Block b has rows [rows b / blocks, rows (b + 1) / blocks).
// Bytes: dy, x and dx once (dx twice where it is added to). dx may be dy where it is overwritten.
template <class T, int kTeam, int kCount, WeightGradient kWeights>
__global__ void __launch_bounds__(kThreads, 2)
    backward(Norm<T> norm, Matrix<const T> dy, const float* rstd, Matrix<T> dx, NormWrite write, float* partial) {
    const Team<kTeam, kCount> team;
    auto& scratch = shared<BlockSums>();
    const auto h = static_cast<int>(norm.extent.columns);
    const std::int64_t begin = norm.extent.rows * blockIdx.x / gridDim.x, end = norm.extent.rows * (blockIdx.x + 1) / gridDim.x;
    WeightSums<kTeam, kCount> dw{kWeights == WeightGradient::Yes ? partial + blockIdx.x * norm.extent.columns : nullptr};
    for (std::int64_t i = begin + team.number; i < end; i += kTeams<kTeam>) {
        const HeldRow<T, kTeam, kCount> x(norm.x.data + i * norm.x.stride, team, h), d(dy.data + i * dy.stride, team, h);
        const float r = rstd[i];
        float dot = 0.0F;
        team.for_packs(h, [&](int slot, int j) {
            const auto d_pack = d.at(slot, j), x_pack = x.at(slot, j), w = load<kCount>(norm.w + j);
#pragma unroll
            for (int e = 0; e < kCount; ++e) dot = fmaf(widen(d_pack.at[e]) * (norm.offset + widen(w.at[e])), widen(x_pack.at[e]), dot);
            if constexpr (kWeights == WeightGradient::Yes) dw.add(slot, j, i == begin, d_pack, x_pack, r);
        });
        const float coefficient = r * r * (team.sum(dot, scratch.at) / static_cast<float>(h));
        team.for_packs(h, [&](int slot, int j) {
            const auto d_pack = d.at(slot, j), x_pack = x.at(slot, j), w = load<kCount>(norm.w + j);
            T* out = dx.data + i * dx.stride + j;
            Pack<T, kCount> sum{};
            if (write == NormWrite::Accumulate) sum = load<kCount>(static_cast<const T*>(out));
#pragma unroll
            for (int e = 0; e < kCount; ++e) {
                const float g = widen(d_pack.at[e]) * (norm.offset + widen(w.at[e]));
                const float gradient = r * (g - widen(x_pack.at[e]) * coefficient);
                sum.at[e] = narrow<T>(write == NormWrite::Accumulate ? widen(sum.at[e]) + gradient : gradient);
            }
            store(out, sum);
        });
    }
    if constexpr (kWeights == WeightGradient::Yes) dw.store_held(team, h);
}

constexpr int kSumThreads = 512;
using ColumnSums = float[kSumThreads / kWarp][kWarp];

/// dw += sum of the rows of partial: a warp adds every sixteenth row, then the warps' sums are added, both in order.
__global__ void __launch_bounds__(kSumThreads) add_partial_sums(Extent extent, const float* partial, float* dw) {
    auto& sums = shared<ColumnSums>();
    const unsigned warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    const std::int64_t j = std::int64_t{blockIdx.x} * kWarp + lane;
    float sum = 0.0F;
    if (j < extent.columns) {
#pragma unroll 8
        for (std::int64_t i = warp; i < extent.rows; i += kSumThreads / kWarp) sum += partial[i * extent.columns + j];
    }
    sums[warp][lane] = sum;
    __syncthreads();
    if (warp != 0 || j >= extent.columns) return;
    for (unsigned other = 1; other < kSumThreads / kWarp; ++other) sum += sums[other][lane];
    dw[j] += sum;
}

/// A Team without threads.
template <int kTeam, int kCount>
struct TeamOf {};

/// f(TeamOf), of the threads that share a row.
template <class T, class F, class... M>
Status with_team(const Norm<T>& norm, F f, const M&... others) {
    const bool whole = norm.extent.columns % kVector<T> == 0 && reinterpret_cast<std::uintptr_t>(norm.w) % 16 == 0;
    if (!whole || !aligned(norm.extent, norm.x) || !(aligned(norm.extent, others) && ...)) return f(TeamOf<kThreads, 1>{});
    if (norm.extent.columns <= Team<kWarp, kVector<T>>::kHeldColumns) return f(TeamOf<kWarp, kVector<T>>{});
    return f(TeamOf<kThreads, kVector<T>>{});
}

template <class T>
Norm<T> norm_of(const NormInput& in) {
    return {in.extent, matrix<const T>(in.x), static_cast<const T*>(in.w), in.eps, in.weight_offset};
}

unsigned blocks_for(std::int64_t rows, int teams) {
    return static_cast<unsigned>(std::min<std::int64_t>((rows + teams - 1) / teams, std::int64_t{1} << 20U));
}

}  // namespace

Status launch_rmsnorm(const NormInput& in, const Rows& y, float* rstd, StreamHandle stream) {
    return with_element(in.x.type, [&]<class T>(Tag<T>) {
        const auto norm = norm_of<T>(in);
        const auto out = matrix<T>(y);
        const auto run = [&]<int kTeam, int kCount>(TeamOf<kTeam, kCount>) {
            const Launch how{"rmsnorm", {blocks_for(in.extent.rows, kTeams<kTeam>)}, kThreads, sizeof(BlockSums)};
            return cuda::launch(how, stream, forward<T, kTeam, kCount>, norm, out, rstd);
        };
        return with_team(norm, run, out);
    });
}

static_assert(Team<kWarp, kVector<bf16>>::kHeldColumns == kNarrowNorm && 8 * kTeams<kWarp> == kNarrowNormRows);

Status launch_rmsnorm_backward(const NormInput& in, const Rows& dy, const float* rstd, const Rows& dx, NormWrite write, float* partial,
                               float* dw, StreamHandle stream) {
    const Extent sums{norm_gradient_ranges(in.extent), in.extent.columns};
    const Status status = with_element(in.x.type, [&]<class T>(Tag<T>) {
        const auto norm = norm_of<T>(in);
        const auto d = matrix<const T>(dy);
        const auto out = matrix<T>(dx);
        const auto run = [&]<int kTeam, int kCount>(TeamOf<kTeam, kCount>) {
            Launch how{"rmsnorm_backward", {blocks_for(in.extent.rows, kTeams<kTeam>)}, kThreads, sizeof(BlockSums)};
            if (dw == nullptr)
                return cuda::launch(how, stream, backward<T, kTeam, kCount, WeightGradient::No>, norm, d, rstd, out, write, partial);
            how.grid.x = static_cast<unsigned>(sums.rows);
            if (kTeam == kWarp) how.shared_bytes = sizeof(WarpSums<kCount>);
            return cuda::launch(how, stream, backward<T, kTeam, kCount, WeightGradient::Yes>, norm, d, rstd, out, write, partial);
        };
        return with_team(norm, run, d, out);
    });
    if (!status.ok() || dw == nullptr) return status;
    const Grid grid{static_cast<unsigned>((sums.columns + kWarp - 1) / kWarp)};
    return cuda::launch({"rmsnorm_backward dw", grid, kSumThreads, sizeof(ColumnSums)}, stream, add_partial_sums, sums,
                        static_cast<const float*>(partial), dw);
}

}  // namespace tandem::cuda
