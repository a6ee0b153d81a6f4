// kernels/cuda/simt.cuh for the host's compiler: CUDA's words, and what threads have, in terms of the emulator. Found before the real
// one where kernels are compiled for the emulator (tests/support/emulator/CMakeLists.txt), which also instruments every access to
// memory, so that pointers stay pointers.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/base/dtype.h"
#include "tests/support/emulator/thread.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
#define threadIdx (::tandem::emulator::thread_index())
#define blockIdx (::tandem::emulator::block_index())
#define blockDim (::tandem::emulator::block_extent())
#define gridDim (::tandem::emulator::grid_extent())

inline void __syncthreads() { tandem::emulator::sync_block(); }
inline void __syncwarp(unsigned mask = 0xffffffffU) { tandem::emulator::sync_warp(mask); }
inline void __threadfence() {}

template <class T>
T __shfl_sync(unsigned mask, T x, int lane) {
    return tandem::emulator::shuffle(mask, x, lane & 31);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T x, int bits) {
    return tandem::emulator::shuffle(mask, x, tandem::emulator::lane() ^ bits);
}
template <class T>
T __shfl_down_sync(unsigned mask, T x, unsigned by) {
    const int from = tandem::emulator::lane() + static_cast<int>(by);
    return tandem::emulator::shuffle(mask, x, from < 32 ? from : tandem::emulator::lane());
}
template <class T>
T __shfl_up_sync(unsigned mask, T x, unsigned by) {
    const int from = tandem::emulator::lane() - static_cast<int>(by);
    return tandem::emulator::shuffle(mask, x, from >= 0 ? from : tandem::emulator::lane());
}
inline unsigned __ballot_sync(unsigned mask, int vote) { return tandem::emulator::ballot(mask, vote != 0); }
inline int __any_sync(unsigned mask, int vote) { return tandem::emulator::ballot(mask, vote != 0) != 0; }
inline int __all_sync(unsigned mask, int vote) { return tandem::emulator::ballot(mask, vote != 0) == mask; }

template <class T>
T atomicAdd(T* x, T by) {
    return tandem::emulator::atomic(x, [by](T old) { return static_cast<T>(old + by); });
}
template <class T>
T atomicMax(T* x, T other) {
    return tandem::emulator::atomic(x, [other](T old) { return old > other ? old : other; });
}
template <class T>
T atomicOr(T* x, T bits) {
    return tandem::emulator::atomic(x, [bits](T old) { return static_cast<T>(old | bits); });
}

template <class T>
T __ldg(const T* x) {
    return *x;
}

// Compiled without contraction: a product and a sum are two roundings unless fmaf is written.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0F / a; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float rsqrtf(float x) { return 1.0F / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((std::uint64_t{a} * b) >> 32U); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
template <class T>
T min(T a, T b) {
    return b < a ? b : a;
}
template <class T>
T max(T a, T b) {
    return a < b ? b : a;
}

namespace tandem::cuda {

using bf16 = BFloat16;
using fp16 = Float16;

inline float widen(float x) { return x; }
inline float widen(bf16 x) { return static_cast<float>(x); }
inline float widen(fp16 x) { return static_cast<float>(x); }

template <class T>
T narrow(float x) {
    return T(x);
}

template <class T>
std::uint32_t narrow_pair(float low, float high) {
    return T(low).bits | static_cast<std::uint32_t>(T(high).bits) << 16U;
}

template <class T>
T& shared() {
    return *static_cast<T*>(emulator::shared_memory(sizeof(T)));
}

template <class T>
void mma(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
    const auto value = [](std::uint32_t pair, int half) {
        T x;
        x.bits = static_cast<std::uint16_t>(half == 0 ? pair : pair >> 16U);
        return static_cast<float>(x);
    };
    emulator::matrix_instruction(d, a, b, [&](std::uint32_t pair, int half) { return value(pair, half); });
}

inline void ldmatrix(std::uint32_t (&r)[4], const void* row) { emulator::load_matrix(r, row, false); }
inline void ldmatrix_transposed(std::uint32_t (&r)[4], const void* row) { emulator::load_matrix(r, row, true); }

inline void copy_async(void* to, const void* from, bool valid) { emulator::start_copy(to, from, valid); }
inline void copy_async_commit() { emulator::commit_copies(); }
template <int kPending>
void copy_async_wait() {
    emulator::wait_copies(kPending);
}

inline float exp2_fast(float x) { return std::exp2(x); }
inline void give_up() { emulator::give_up(); }

}  // namespace tandem::cuda
