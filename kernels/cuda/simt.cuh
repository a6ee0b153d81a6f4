// What the threads of a kernel have besides C++: 16-bit types, shared memory, matrix instructions, asynchronous copies. Kernels use
// CUDA's indices, barriers, shuffles and mathematical functions by CUDA's names, and everything else through this header, of which
// the emulator has a second one (tests/support/emulator/include/kernels/cuda/simt.cuh, found first there).
//
// Rules for kernels that are to run in both: shared memory through shared<T>() only; whole warps at shuffles, votes, __syncwarp and
// matrix instructions; no inline PTX elsewhere; tables that kernels read are __constant__.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace tandem::cuda {

using bf16 = __nv_bfloat16;
using fp16 = __half;

__device__ inline float widen(float x) { return x; }
__device__ inline float widen(bf16 x) { return __bfloat162float(x); }
__device__ inline float widen(fp16 x) { return __half2float(x); }

/// Rounded to nearest, ties to even.
template <class T>
__device__ T narrow(float x);
template <>
__device__ inline float narrow<float>(float x) {
    return x;
}
template <>
__device__ inline bf16 narrow<bf16>(float x) {
    return __float2bfloat16_rn(x);
}
template <>
__device__ inline fp16 narrow<fp16>(float x) {
    return __float2half_rn(x);
}

/// Two rounded numbers as one register of a matrix instruction, `low` at the lower address.
template <class T>
__device__ std::uint32_t narrow_pair(float low, float high);
template <>
__device__ inline std::uint32_t narrow_pair<bf16>(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
}
template <>
__device__ inline std::uint32_t narrow_pair<fp16>(float low, float high) {
    const __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
}

/// The block's shared memory, of the size that the launch gave; undefined at the start of a block. T has no constructor.
template <class T>
__device__ T& shared() {
    extern __shared__ __align__(128) unsigned char shared_bytes[];
    return *reinterpret_cast<T*>(shared_bytes);
}

/// d += a b for one 16 x 16 tile of a (row by row), 16 x 8 of b (column by column) and 16 x 8 of d, spread over a warp as PTX's
/// mma.m16n8k16 has it; products of 16-bit numbers, sums in fp32. With lane = 4 g + t (g 0..7, t 0..3):
///   a[0] = (g, 2t) (g, 2t+1)     a[1] = (g+8, same)   a[2] = (g, 2t+8) (g, 2t+9)   a[3] = (g+8, 2t+8) (g+8, 2t+9)
///   b[0] = (2t, g) (2t+1, g)     b[1] = (2t+8, g) (2t+9, g)
///   d[0], d[1] = (g, 2t) (g, 2t+1)     d[2], d[3] = (g+8, 2t) (g+8, 2t+1)
template <class T>
__device__ void mma(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]);
template <>
__device__ inline void mma<bf16>(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <>
__device__ inline void mma<fp16>(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// Four 8 x 8 tiles of 16-bit numbers from shared memory: lane l names row l % 8 of tile l / 8 (16 aligned bytes), and receives of tile i
/// elements 2 (l % 4) and the next of row l / 4 in r[i]. ldmatrix_transposed: of column l / 4 instead.
__device__ inline void ldmatrix(std::uint32_t (&r)[4], const void* row) {
    const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}
__device__ inline void ldmatrix_transposed(std::uint32_t (&r)[4], const void* row) {
    const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

/// 16 bytes from global to shared memory, both aligned, in the background; zeros where `valid` is false (`from` is then not read).
/// There when this thread has waited for the group and the block has met at a barrier.
__device__ inline void copy_async(void* to, const void* from, bool valid) {
    const auto address = static_cast<unsigned>(__cvta_generic_to_shared(to));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(valid ? 16 : 0) : "memory");
}
/// What this thread has started since the last commit becomes a group.
__device__ inline void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Until at most kPending of this thread's groups, the newest, are under way.
template <int kPending>
__device__ void copy_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/// 2^x to within 2 ulp of fp32; what a softmax needs.
__device__ inline float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/// Ends the launch, and with it the use of this device, because of what only the device could see.
__device__ inline void give_up() { __trap(); }

}  // namespace tandem::cuda
