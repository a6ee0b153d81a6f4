#include "tests/support/emulator/test/right.cuh"

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"

namespace tandem::emulator::test {

namespace {

using namespace cuda;

__device__ std::uint32_t pair(std::uint16_t low, std::uint16_t high) { return low | static_cast<std::uint32_t>(high) << 16U; }

template <class T>
__global__ void mma_by_hand(const std::uint16_t* a, const std::uint16_t* b, float* d) {
    const int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
    std::uint32_t x[4], y[2];
    for (int i = 0; i < 4; ++i) {
        const int row = g + i % 2 * 8, column = 2 * t + i / 2 * 8;
        x[i] = pair(a[row * 16 + column], a[row * 16 + column + 1]);
    }
    for (int i = 0; i < 2; ++i) y[i] = pair(b[(2 * t + 8 * i) * 8 + g], b[(2 * t + 8 * i + 1) * 8 + g]);
    float sums[4];
    for (int i = 0; i < 4; ++i) sums[i] = d[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
    mma<T>(sums, x, y);
    for (int i = 0; i < 4; ++i) d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sums[i];
}

struct Tiles {
    std::uint16_t a[16][16], b[16][16];
};

__global__ void mma_by_ldmatrix(const std::uint16_t* a, const std::uint16_t* b, float* d) {
    auto& s = shared<Tiles>();
    for (unsigned i = threadIdx.x; i < 256; i += 32) {
        s.a[i / 16][i % 16] = a[i];
        s.b[i / 16][i % 16] = b[i];
    }
    __syncwarp();
    const unsigned lane = threadIdx.x;
    std::uint32_t x[4], y[4];
    ldmatrix(x, &s.a[lane % 16][lane / 16 * 8]);
    ldmatrix_transposed(y, &s.b[lane % 16][lane / 16 * 8]);
    const unsigned g = lane / 4, t = lane % 4;
    for (unsigned half = 0; half < 2; ++half) {
        float sums[4] = {};
        const std::uint32_t columns[2] = {y[2 * half], y[2 * half + 1]};
        mma<bf16>(sums, x, columns);
        for (unsigned i = 0; i < 4; ++i) d[(g + i / 2 * 8) * 16 + 8 * half + 2 * t + i % 2] += sums[i];
    }
}

__global__ void shuffles(const std::int64_t* x, std::int64_t* y) {
    const int l = static_cast<int>(threadIdx.x);
    y[l] = __shfl_sync(kAllLanes, x[l], 31 - l);
    y[32 + l] = __shfl_xor_sync(kAllLanes, x[l], 5);
    y[64 + l] = __shfl_up_sync(kAllLanes, x[l], 3);
    y[96 + l] = __shfl_down_sync(kAllLanes, x[l], 3);
}

__global__ void votes(const int* x, unsigned* y) {
    const int vote = x[threadIdx.x];
    const unsigned all[3] = {__ballot_sync(kAllLanes, vote), static_cast<unsigned>(__any_sync(kAllLanes, vote)),
                             static_cast<unsigned>(__all_sync(kAllLanes, vote))};
    if (threadIdx.x < 3) y[threadIdx.x] = all[threadIdx.x];
}

template <int kThreads>
struct Scratch {
    float at[kThreads / 32];
};
template <int kThreads>
__global__ void reductions(const float* x, float* y) {
    auto& s = shared<Scratch<kThreads>>();
    y[2 * threadIdx.x] = reduce_block<kThreads>(x[threadIdx.x], Sum{}, s.at);
    y[2 * threadIdx.x + 1] = reduce_block<kThreads>(x[threadIdx.x], Max{}, s.at);
}
template <int kThreads>
Status reduce(const float* x, float* y, StreamHandle stream) {
    return cuda::launch({"reductions", {1}, kThreads, sizeof(Scratch<kThreads>)}, stream, reductions<kThreads>, x, y);
}

struct Count {
    int of_block;
};
__global__ void atomics(int* y) {
    auto& s = shared<Count>();
    if (threadIdx.x == 0) s.of_block = 0;
    __syncthreads();
    atomicAdd(&s.of_block, 1);
    atomicAdd(y, 1);
    atomicMax(y + 1, static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x));
    atomicOr(y + 2, 1 << blockIdx.x);
    __syncthreads();
    if (threadIdx.x == 0) atomicAdd(y + 3, s.of_block);
}

struct Sums64 {
    int at[64];
};
__global__ void prefix_sums(const int* x, int* y) {
    auto& s = shared<Sums64>();
    const unsigned t = threadIdx.x;
    s.at[t] = x[t];
    for (unsigned distance = 1; distance < 64; distance *= 2) {
        __syncthreads();
        const int before = t >= distance ? s.at[t - distance] : 0;
        __syncthreads();
        s.at[t] += before;
    }
    y[t] = s.at[t];
}

struct Buffers {
    int at[2][128];
};
__device__ void fetch(Buffers& s, int tile, const int* x, int tiles, int valid) {
    const int i = tile * 128 + static_cast<int>(threadIdx.x) * 4;
    if (tile < tiles) copy_async(&s.at[tile % 2][threadIdx.x * 4], i < valid ? x + i : x, i < valid);
    copy_async_commit();
}
__global__ void pipeline(const int* x, int* y, int tiles, int valid) {
    auto& s = shared<Buffers>();
    fetch(s, 0, x, tiles, valid);
    for (int tile = 0; tile < tiles; ++tile) {
        fetch(s, tile + 1, x, tiles, valid);
        copy_async_wait<1>();
        __syncthreads();
        for (unsigned i = threadIdx.x; i < 128; i += 32) y[tile * 128 + static_cast<int>(i)] = s.at[tile % 2][i];
        __syncthreads();
    }
}

__global__ void grid_of_three(const int* x, int* y) {
    const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const unsigned own = block * blockDim.x + threadIdx.x;
    y[own] = static_cast<int>(own);
    y[own] += x[0];
}

struct Halves {
    int first, second, at[64];
};
__constant__ int squares[8] = {0, 1, 4, 9, 16, 25, 36, 49};
struct alignas(4) Four {
    float at[4];
};

__global__ void innocent(const int* x, int* y) {
    auto& s = shared<Halves>();
    const unsigned t = threadIdx.x;
    // Only what was written is read, although the other lies beside it.
    if (t == 0) s.second = 2;
    __syncthreads();
    int right = (x[t] == -1 ? s.first : s.second) == 2;
    // Neighbours in a warp exchange through shared and through global memory, with the warp's barrier, again and again.
    for (int round = 0; round < 3; ++round) {
        s.at[t] = round + static_cast<int>(t);
        y[t] = round;
        __syncwarp();
        right &= s.at[t ^ 1U] == round + static_cast<int>(t ^ 1U) && y[t ^ 1U] == round;
        __syncwarp();
    }
    // Sixteen bytes whose type asks for an alignment of four.
    const Four four = *reinterpret_cast<const Four*>(x + 1);
    right &= four.at[0] < 1.0F;
    // An array of the thread's own, with an index that is known only now; a table; a copy of the library.
    int own[8];
    for (int i = 0; i < 8; ++i) own[i] = squares[(static_cast<unsigned>(i) + t) % 8];
    right &= own[x[t] & 7] == squares[(static_cast<unsigned>(x[t] & 7) + t) % 8];
    std::int64_t two = 0;
    memcpy(&two, x, sizeof two);
    right &= static_cast<int>(two >> 32U) == x[1];
    y[t] = right;
    // Threads end at different times, with no barrier to come.
    if (t % 3 == 0) return;
    right &= y[t];
    y[t] = right;
}

__global__ void fill(int* y, int count, int value) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < count) y[i] = value;
}

}  // namespace

Status launch_mma(Element type, const std::uint16_t* a, const std::uint16_t* b, float* d, StreamHandle stream) {
    return cuda::launch({"mma", {1}, 32}, stream, type == Element::BF16 ? mma_by_hand<bf16> : mma_by_hand<fp16>, a, b, d);
}
Status launch_ldmatrix(const std::uint16_t* a, const std::uint16_t* b, float* d, StreamHandle stream) {
    return cuda::launch({"ldmatrix", {1}, 32, sizeof(Tiles)}, stream, mma_by_ldmatrix, a, b, d);
}
Status launch_shuffles(const std::int64_t* x, std::int64_t* y, StreamHandle stream) {
    return cuda::launch({"shuffles", {1}, 32}, stream, shuffles, x, y);
}
Status launch_votes(const int* x, unsigned* y, StreamHandle stream) { return cuda::launch({"votes", {1}, 32}, stream, votes, x, y); }
Status launch_reductions(int threads, const float* x, float* y, StreamHandle stream) {
    switch (threads) {
        case 32: return reduce<32>(x, y, stream);
        case 64: return reduce<64>(x, y, stream);
        case 96: return reduce<96>(x, y, stream);
        case 256: return reduce<256>(x, y, stream);
        default: return reduce<1024>(x, y, stream);
    }
}
Status launch_atomics(unsigned blocks, unsigned threads, int* y, StreamHandle stream) {
    return cuda::launch({"atomics", {blocks}, threads, sizeof(Count)}, stream, atomics, y);
}
Status launch_prefix_sums(const int* x, int* y, StreamHandle stream) {
    return cuda::launch({"prefix_sums", {1}, 64, sizeof(Sums64)}, stream, prefix_sums, x, y);
}
Status launch_pipeline(const int* x, int* y, int tiles, int valid, StreamHandle stream) {
    return cuda::launch({"pipeline", {1}, 32, sizeof(Buffers)}, stream, pipeline, x, y, tiles, valid);
}
Status launch_grid(const int* x, int* y, StreamHandle stream) { return cuda::launch({"grid", {2, 3, 2}, 32}, stream, grid_of_three, x, y); }
Status launch_innocent(const int* x, int* y, StreamHandle stream) {
    return cuda::launch({"innocent", {1}, 64, sizeof(Halves)}, stream, innocent, x, y);
}
Status launch_fill(int* y, int count, int value, StreamHandle stream) {
    return cuda::launch({"fill", {static_cast<unsigned>(count + 63) / 64}, 64}, stream, fill, y, count, value);
}

}  // namespace tandem::emulator::test
