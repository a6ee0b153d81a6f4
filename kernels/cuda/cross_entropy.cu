#include "kernels/cuda/cross_entropy.cuh"

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"

namespace tandem::cuda {

namespace {

constexpr int kThreads = 512;  ///< a block's, which has one row
constexpr int kElements = 4;   ///< of an access: 16 bytes of logits
constexpr int kBatch = 4;      ///< packs that a thread has on their way

struct Scratch {
    float maxima[kThreads / kWarp];
    double sums[kThreads / kWarp];
    float max, log_sum;
};

constexpr float kLowest = -INFINITY;

/// sum_j exp(z_j) = sum exp(max)
template <class T>
struct MaxAndSum {
    float max;
    T sum;
};

/// A row of nothing but -inf or NaN must not turn into a number, nor -inf - -inf into NaN for another part of it.
__device__ float shift_of(float max) { return max == kLowest ? 0.0F : max; }

/// f(column) for each of the thread's packs of a row.
template <int kCount, class F>
__device__ void for_packs(std::int64_t columns, F f) {
#pragma unroll 4
    for (std::int64_t j = std::int64_t{threadIdx.x} * kCount; j < columns; j += kThreads * kCount) f(j);
}

/// A thread's part of a row in one pass: the sum is rescaled when a larger number comes.
template <int kCount>
__device__ MaxAndSum<float> online_max_and_sum(const float* z, std::int64_t columns) {
    MaxAndSum<float> part{kLowest, 0.0F};
    for_packs<kCount>(columns, [&](std::int64_t j) {
        const auto pack = load<kCount>(z + j);
        float max = part.max;
#pragma unroll
        for (int e = 0; e < kCount; ++e) max = Max{}(pack.at[e], max);
        if (max > part.max) {
            part.sum *= expf(part.max - max);
            part.max = max;
        }
#pragma unroll
        for (int e = 0; e < kCount; ++e) part.sum += expf(pack.at[e] - shift_of(part.max));
    });
    return part;
}

/// Of a whole row; every thread has it. All threads of the block call it.
template <int kCount>
__device__ MaxAndSum<double> max_and_sum(const float* z, std::int64_t columns, Scratch& scratch) {
    const auto part = online_max_and_sum<kCount>(z, columns);
    const float max = reduce_block<kThreads>(part.max, Max{}, scratch.maxima);
    const double own = static_cast<double>(part.sum * expf(part.max - shift_of(max)));
    return {max, reduce_block<kThreads>(own, Sum{}, scratch.sums)};
}

/// The label of this block's row; `lowest` is 0, or -1 where that means a label of another rank's part.
__device__ std::int32_t checked_label(const std::int32_t* labels, std::int32_t lowest, std::int64_t columns) {
    const std::int32_t label = labels[blockIdx.x];
    if (label < lowest || label >= columns) give_up();
    return label;
}

/// dz_j = exp(z_j - max - log_sum) - [j = label]; max and log_sum apart, for their sum would lose digits where logits are large. Every
/// element is read and written by one thread, so dz may be z; kBatch packs are read before the first is written, for a read behind a write
/// that may be to the same place would wait for it.
template <int kCount, class T>
__device__ void write_gradient(const float* z, std::int64_t columns, float max, float log_sum, std::int32_t label, T* dz) {
    constexpr int kStep = kThreads * kCount;
    for (std::int64_t first = std::int64_t{threadIdx.x} * kCount; first < columns; first += kBatch * kStep) {
        Pack<float, kCount> packs[kBatch] = {};
#pragma unroll
        for (int b = 0; b < kBatch; ++b)
            if (first + b * kStep < columns) packs[b] = load<kCount>(z + first + b * kStep);
#pragma unroll
        for (int b = 0; b < kBatch; ++b) {
            const std::int64_t j = first + b * kStep;
            if (j >= columns) continue;
            Pack<T, kCount> out;
#pragma unroll
            for (int e = 0; e < kCount; ++e) out.at[e] = narrow<T>(expf((packs[b].at[e] - max) - log_sum) - (j + e == label ? 1.0F : 0.0F));
            store(dz + j, out);
        }
    }
}

struct Logits {
    std::int64_t columns;
    Matrix<const float> z;
    const std::int32_t* labels;
    __device__ const float* row() const { return z.data + blockIdx.x * z.stride; }
};

// Bytes: the logits twice, or once without a gradient; the gradient once.
template <int kCount, class T>
__global__ void __launch_bounds__(kThreads) cross_entropy(Logits in, double* losses, Matrix<T> dlogits) {
    auto& scratch = shared<Scratch>();
    const std::int32_t label = checked_label(in.labels, 0, in.columns);
    const float* z = in.row();
    const float of_label = z[label];  // before it may be overwritten
    const auto of_row = max_and_sum<kCount>(z, in.columns, scratch);
    const float max = shift_of(of_row.max);
    // One thread's alone: some cards have few units for fp64.
    if (threadIdx.x == 0) losses[blockIdx.x] = log(of_row.sum) + (static_cast<double>(max) - static_cast<double>(of_label));
    if (dlogits.data == nullptr) return;
    const float log_sum = logf(static_cast<float>(of_row.sum));
    write_gradient<kCount>(z, in.columns, max, log_sum, label, dlogits.data + blockIdx.x * dlogits.stride);
}

template <int kCount>
__global__ void __launch_bounds__(kThreads) cross_entropy_statistics(Logits in, float* statistics) {
    const std::int32_t label = checked_label(in.labels, -1, in.columns);
    const auto of_row = max_and_sum<kCount>(in.row(), in.columns, shared<Scratch>());
    if (threadIdx.x != 0) return;
    float* out = statistics + std::int64_t{3} * blockIdx.x;
    out[0] = of_row.max;
    out[1] = static_cast<float>(of_row.sum);
    out[2] = label < 0 ? 0.0F : in.row()[label];
}

/// lse = max + log sum_k s_k exp(m_k - max) over the ranks in order, and what the labels' logits add up to.
__device__ void combine(const float* statistics, std::int64_t ranks, Scratch& scratch, double* loss) {
    const std::int64_t step = std::int64_t{3} * gridDim.x;
    const float* of_row = statistics + std::int64_t{3} * blockIdx.x;
    float max = kLowest;
    for (std::int64_t k = 0; k < ranks; ++k) max = Max{}(of_row[k * step], max);
    max = shift_of(max);
    double sum = 0.0, of_label = 0.0;
    for (std::int64_t k = 0; k < ranks; ++k) {
        const float* part = of_row + k * step;
        sum += static_cast<double>(part[1]) * static_cast<double>(expf(part[0] - max));
        of_label += static_cast<double>(part[2]);
    }
    const double log_sum = log(sum);
    scratch.max = max;
    scratch.log_sum = static_cast<float>(log_sum);
    if (loss != nullptr) *loss = log_sum + (static_cast<double>(max) - of_label);
}

// Bytes: logits and gradient once.
template <int kCount, class T>
__global__ void __launch_bounds__(kThreads)
    cross_entropy_from_statistics(Logits in, const float* statistics, std::int64_t ranks, double* losses, Matrix<T> dlogits) {
    auto& scratch = shared<Scratch>();
    const std::int32_t label = checked_label(in.labels, -1, in.columns);
    if (threadIdx.x == 0) combine(statistics, ranks, scratch, losses == nullptr ? nullptr : losses + blockIdx.x);
    __syncthreads();
    if (dlogits.data == nullptr) return;
    write_gradient<kCount>(in.row(), in.columns, scratch.max, scratch.log_sum, label, dlogits.data + blockIdx.x * dlogits.stride);
}

/// f(elements of an access as an integral constant).
template <class F, class... M>
Status with_count(const LabelledLogits& in, F f, const M&... matrices) {
    if (in.extent.columns % kElements == 0 && (aligned(in.extent, matrices) && ...)) return f(std::integral_constant<int, kElements>{});
    return f(std::integral_constant<int, 1>{});
}

Logits logits_of(const LabelledLogits& in) { return {in.extent.columns, matrix<const float>(in.logits), in.labels}; }

Launch launch_of(const char* name, const LabelledLogits& in) {
    return {name, {static_cast<unsigned>(in.extent.rows)}, kThreads, sizeof(Scratch)};
}

}  // namespace

Status launch_cross_entropy(const LabelledLogits& in, double* losses, const Rows& dlogits, StreamHandle stream) {
    return with_element(dlogits.type, [&]<class T>(Tag<T>) {
        const auto z = logits_of(in);
        const auto dz = matrix<T>(dlogits);
        const auto run = [&]<int kCount>(std::integral_constant<int, kCount>) {
            return cuda::launch(launch_of("cross_entropy", in), stream, cross_entropy<kCount, T>, z, losses, dz);
        };
        return with_count(in, run, z.z, dz);
    });
}

Status launch_cross_entropy_statistics(const LabelledLogits& in, float* statistics, StreamHandle stream) {
    const auto z = logits_of(in);
    const auto run = [&]<int kCount>(std::integral_constant<int, kCount>) {
        return cuda::launch(launch_of("cross_entropy_statistics", in), stream, cross_entropy_statistics<kCount>, z, statistics);
    };
    return with_count(in, run, z.z);
}

Status launch_cross_entropy_from_statistics(const LabelledLogits& in, const float* statistics, std::int64_t ranks, double* losses,
                                            const Rows& dlogits, StreamHandle stream) {
    return with_element(dlogits.type, [&]<class T>(Tag<T>) {
        const auto z = logits_of(in);
        const auto dz = matrix<T>(dlogits);
        const auto run = [&]<int kCount>(std::integral_constant<int, kCount>) {
            return cuda::launch(launch_of("cross_entropy_from_statistics", in), stream, cross_entropy_from_statistics<kCount, T>, z,
                                statistics, ranks, losses, dz);
        };
        return with_count(in, run, z.z, dz);
    });
}

}  // namespace tandem::cuda
