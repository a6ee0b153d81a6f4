#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"
#include "tests/support/emulator/test/planted.cuh"

namespace tandem::emulator::test {

namespace {

using namespace cuda;

struct Shared {
    int at[256];
};

__global__ void no_syncthreads(Ints p) {
    auto& s = shared<Shared>();
    s.at[threadIdx.x] = p.data[threadIdx.x];
    s.at[64 + threadIdx.x] = s.at[threadIdx.x ^ 32U];
}
__global__ void syncwarp_for_syncthreads(Ints) {
    auto& s = shared<Shared>();
    s.at[threadIdx.x] = 1;
    s.at[threadIdx.x ^ 32U] = 2;
    __syncwarp();
    s.at[64 + threadIdx.x] = s.at[threadIdx.x ^ 32U];
}
__global__ void no_syncwarp(Ints p) {
    auto& s = shared<Shared>();
    s.at[threadIdx.x] = p.data[threadIdx.x];
    s.at[64 + threadIdx.x] = s.at[threadIdx.x ^ 1U];
}
__global__ void shuffle_for_syncwarp(Ints p) {
    auto& s = shared<Shared>();
    s.at[threadIdx.x] = p.data[threadIdx.x];
    __shfl_sync(kAllLanes, 1, 0);
    s.at[64 + threadIdx.x] = s.at[threadIdx.x ^ 1U];
}
__global__ void write_after_read(Ints p) {
    auto& s = shared<Shared>();
    s.at[threadIdx.x] = p.data[threadIdx.x];
    __syncthreads();
    const int x = s.at[threadIdx.x ^ 32U];
    s.at[threadIdx.x] = x;
}
__global__ void write_after_read_in_warp(Ints p) {
    auto& s = shared<Shared>();
    s.at[threadIdx.x] = p.data[threadIdx.x];
    __syncwarp();
    const int x = s.at[threadIdx.x ^ 1U];
    s.at[threadIdx.x] = x;
}
/// Reads alone, then writes alone, if threads and blocks come forward: no write is read.
__global__ void warps_read_then_write(Ints p) {
    auto& s = shared<Shared>();
    if (threadIdx.x < 32) s.at[threadIdx.x] = p.data[threadIdx.x];
    __syncthreads();
    if (threadIdx.x < 32) p.data[threadIdx.x] = s.at[threadIdx.x];
    else s.at[threadIdx.x - 32] = 1;
}
__global__ void lanes_read_then_write(Ints p) {
    auto& s = shared<Shared>();
    s.at[threadIdx.x] = p.data[threadIdx.x];
    __syncwarp();
    p.data[threadIdx.x] = s.at[0];
    if (threadIdx.x == 31) s.at[0] = 1;
}
__global__ void several_warps_read_then_one_writes(Ints p) {
    auto& s = shared<Shared>();
    if (threadIdx.x == 0) s.at[0] = 1;
    __syncthreads();
    if (threadIdx.x % 32 == 0) p.data[threadIdx.x] = s.at[0];
    if (threadIdx.x == 64) s.at[0] = 2;
}
__global__ void blocks_read_then_last_writes(Ints p) {
    p.data[64 + blockIdx.x * 32 + threadIdx.x] = p.data[threadIdx.x];
    if (blockIdx.x == 2) p.data[threadIdx.x] = 1;
}
/// Everybody reads, then one writes: the last reader's mark must not hide the others.
__global__ void write_after_all_read(Ints p) {
    auto& s = shared<Shared>();
    if (threadIdx.x == 0) s.at[0] = p.data[7];
    __syncthreads();
    p.data[threadIdx.x] = s.at[0];
    if (threadIdx.x == blockDim.x - 1 || threadIdx.x == 0) s.at[0] = 1;
}
__global__ void scratch_reused(Ints p) {
    auto& s = shared<Shared>();
    const int sum = reduce_block<64>(p.data[threadIdx.x], Sum{}, s.at);
    if (threadIdx.x < 2) s.at[threadIdx.x] = sum;
}
__global__ void bytes_race(Ints) {
    auto* bytes = reinterpret_cast<unsigned char*>(shared<Shared>().at);
    bytes[threadIdx.x] = 1;
    __syncthreads();
    bytes[threadIdx.x] = 2;
    shared<Shared>().at[threadIdx.x / 4] = 3;
}

__global__ void blocks_write(Ints p) {
    if (threadIdx.x == 0) p.data[0] = static_cast<int>(blockIdx.x);
}
__global__ void block_reads_anothers(Ints p) {
    const unsigned own = blockIdx.x * 32 + threadIdx.x;
    p.data[own] = 1;
    p.data[64 + own] = p.data[own ^ 32U];
}
__global__ void block_writes_what_others_read(Ints p) {
    p.data[64 + blockIdx.x * 32 + threadIdx.x] = p.data[threadIdx.x];
    if (blockIdx.x == 1) p.data[threadIdx.x] = 1;
}
__global__ void threads_write(Ints p) { p.data[0] = static_cast<int>(threadIdx.x); }
__global__ void threads_exchange(Ints p) {
    p.data[threadIdx.x] = 1;
    p.data[64 + threadIdx.x] = p.data[threadIdx.x ^ 32U];
}
__global__ void atomic_and_plain(Ints p) {
    if (threadIdx.x == 3) p.data[0] = 1;
    else atomicAdd(p.data, 1);
}

__global__ void some_never_come(Ints) {
    if (threadIdx.x < 32) __syncthreads();
}
__global__ void two_barriers(Ints p) {
    if (threadIdx.x < 32) {
        p.data[threadIdx.x] = 1;
        __syncthreads();
    } else {
        __syncthreads();
    }
}
__global__ void two_operations(Ints p) {
    if (threadIdx.x < 16) __syncwarp();
    else p.data[threadIdx.x] = __shfl_sync(kAllLanes, 1, 0);
}
__global__ void two_shuffles(Ints p) {
    if (threadIdx.x < 16) p.data[threadIdx.x] = __shfl_sync(kAllLanes, 1, 0);
    else p.data[threadIdx.x] = __shfl_sync(kAllLanes, 2, 1);
}
__global__ void a_lane_never_comes(Ints p) {
    if (threadIdx.x != 3) p.data[threadIdx.x] = __shfl_xor_sync(kAllLanes, 1, 1);
}
__global__ void barrier_and_shuffle(Ints p) {
    if (threadIdx.x == 0) p.data[0] = __shfl_sync(kAllLanes, 1, 0);
    else __syncthreads();
}
__global__ void shuffle_from_outside(Ints p) { p.data[threadIdx.x] = __shfl_sync(kAllLanes, 1, 32); }
__global__ void xor_to_outside(Ints p) { p.data[threadIdx.x] = __shfl_xor_sync(kAllLanes, 1, 32); }
__global__ void part_of_a_warp(Ints p) { p.data[threadIdx.x] = __shfl_sync(0xffffU, 1, 0); }
__global__ void matrix_in_global(Ints p) {
    std::uint32_t r[4];
    ldmatrix(r, p.data + 4 * threadIdx.x);
}

__global__ void copy_not_waited_for(Ints p) {
    auto& s = shared<Shared>();
    copy_async(&s.at[4 * threadIdx.x], p.data + 4 * threadIdx.x, true);
    copy_async_commit();
    p.data[threadIdx.x] = s.at[4 * threadIdx.x];
}
__global__ void copy_not_committed(Ints p) {
    auto& s = shared<Shared>();
    copy_async(&s.at[4 * threadIdx.x], p.data + 4 * threadIdx.x, true);
    copy_async_wait<0>();
    p.data[threadIdx.x] = s.at[4 * threadIdx.x];
}
__global__ void waits_for_too_few(Ints p) {
    auto& s = shared<Shared>();
    for (int half = 0; half < 2; ++half) {
        copy_async(&s.at[128 * half + 4 * threadIdx.x], p.data + 4 * threadIdx.x, true);
        copy_async_commit();
    }
    copy_async_wait<1>();
    __syncthreads();
    p.data[threadIdx.x] = s.at[128 + 4 * threadIdx.x];
}
__global__ void waits_without_barrier(Ints p) {
    auto& s = shared<Shared>();
    copy_async(&s.at[4 * threadIdx.x], p.data + 4 * threadIdx.x, true);
    copy_async_commit();
    copy_async_wait<0>();
    p.data[128 + threadIdx.x] = s.at[4 * (threadIdx.x ^ 1U)];
}
/// The buffer is filled again while others may still read what was in it.
__global__ void copy_over_what_is_read(Ints p) {
    auto& s = shared<Shared>();
    s.at[threadIdx.x] = 1;
    __syncthreads();
    p.data[128 + threadIdx.x] = s.at[31 - threadIdx.x];
    if (threadIdx.x < 8) copy_async(&s.at[4 * threadIdx.x], p.data + 4 * threadIdx.x, true);
}
__global__ void written_under_a_copy(Ints p) {
    auto& s = shared<Shared>();
    copy_async(&s.at[4 * threadIdx.x], p.data + 4 * threadIdx.x, true);
    s.at[4 * threadIdx.x] = 1;
}
__global__ void copy_of_unwritten(Ints p) { copy_async(&shared<Shared>().at[4 * threadIdx.x], p.fresh + 4 * threadIdx.x, true); }
__global__ void copy_past_the_end(Ints p) { copy_async(&shared<Shared>().at[4 * threadIdx.x], p.data + kInts, true); }
__global__ void copy_of_host_memory(Ints p) { copy_async(&shared<Shared>().at[4 * threadIdx.x], p.host, true); }

constexpr std::size_t kShared = sizeof(Shared);
constexpr Planted kPlanted[] = {
    {"no_syncthreads", no_syncthreads, 1, 64, kShared, "of 1024 bytes of shared memory was "},
    {"syncwarp_for_syncthreads", syncwarp_for_syncthreads, 1, 64, kShared, "since the last barrier: a race"},
    {"no_syncwarp", no_syncwarp, 1, 32, kShared, "of 1024 bytes of shared memory was "},
    {"shuffle_for_syncwarp", shuffle_for_syncwarp, 1, 32, kShared, "since the last barrier: a race"},
    {"write_after_read", write_after_read, 1, 64, kShared, "since the last barrier: a race"},
    {"write_after_read_in_warp", write_after_read_in_warp, 1, 32, kShared, "since the last barrier: a race"},
    {"warps_read_then_write", warps_read_then_write, 1, 64, kShared, "since the last barrier: a race"},
    {"lanes_read_then_write", lanes_read_then_write, 1, 32, kShared, "since the last barrier: a race"},
    {"several_warps_read_then_one_writes", several_warps_read_then_one_writes, 1, 96, kShared, "since the last barrier: a race"},
    {"blocks_read_then_last_writes", blocks_read_then_last_writes, 3, 32, 0, "in the same launch: a race"},
    {"write_after_all_read", write_after_all_read, 1, 96, kShared, "since the last barrier: a race"},
    {"scratch_reused", scratch_reused, 1, 64, kShared, "since the last barrier: a race"},
    {"bytes_race", bytes_race, 1, 64, kShared, "since the last barrier: a race"},
    {"blocks_write", blocks_write, 2, 32, 0, "in the same launch: a race"},
    {"block_reads_anothers", block_reads_anothers, 2, 32, 0, "in the same launch: a race"},
    {"block_writes_what_others_read", block_writes_what_others_read, 3, 32, 0, "in the same launch: a race"},
    {"threads_write", threads_write, 1, 32, 0, "since the last barrier: a race"},
    {"threads_exchange", threads_exchange, 1, 64, 0, "since the last barrier: a race"},
    {"atomic_and_plain", atomic_and_plain, 1, 32, 0, "since the last barrier: a race"},
    {"some_never_come", some_never_come, 1, 64, 0, "threads wait for ever: 32 at __syncthreads at planted_in_order.cu:"},
    {"two_barriers", two_barriers, 1, 64, 0, "while other threads are at the one at planted_in_order.cu:"},
    {"two_operations", two_operations, 1, 32, 0, "while other lanes of the warp are at "},
    {"two_shuffles", two_shuffles, 1, 32, 0, "while other lanes of the warp are at a shuffle at planted_in_order.cu:"},
    {"a_lane_never_comes", a_lane_never_comes, 1, 32, 0, "threads wait for ever: 31 at a shuffle at planted_in_order.cu:"},
    {"barrier_and_shuffle", barrier_and_shuffle, 1, 32, 0, "and 0 have ended"},
    {"shuffle_from_outside", shuffle_from_outside, 1, 32, 0, "reads lane 32"},
    {"xor_to_outside", xor_to_outside, 1, 32, 0, "reads lane "},
    {"part_of_a_warp", part_of_a_warp, 1, 32, 0, "of a part of a warp"},
    {"matrix_in_global", matrix_in_global, 1, 32, 0, "not in shared memory"},
    {"copy_not_waited_for", copy_not_waited_for, 1, 32, kShared, "has not waited for"},
    {"copy_not_committed", copy_not_committed, 1, 32, kShared, "has not waited for"},
    {"waits_for_too_few", waits_for_too_few, 1, 32, kShared, "has not waited for"},
    {"waits_without_barrier", waits_without_barrier, 1, 32, kShared, " bytes of shared memory "},
    {"copy_over_what_is_read", copy_over_what_is_read, 1, 32, kShared, " bytes of shared memory "},
    {"written_under_a_copy", written_under_a_copy, 1, 32, kShared, "has not waited for"},
    {"copy_of_unwritten", copy_of_unwritten, 1, 32, kShared, "was never written"},
    {"copy_past_the_end", copy_past_the_end, 1, 32, kShared, "out of bounds"},
    {"copy_of_host_memory", copy_of_host_memory, 1, 32, kShared, "not memory of the device"},
    {"too_much_shared", no_syncwarp, 1, 32, (99U << 10U) + 1, "are there on every card"},
    {"too_many_threads", threads_write, 1, 1056, 0, "a block of 1056 threads"},
    {"half_a_warp", threads_write, 1, 48, 0, "a block of 48 threads"},
};

}  // namespace

std::span<const Planted> planted_in_order() { return kPlanted; }

}  // namespace tandem::emulator::test
