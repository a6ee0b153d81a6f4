// kernels/cuda/simt.cuh for the host's compiler: CUDA's words, and what threads have, in terms of the emulator. Found before the real
// one where kernels are compiled for the emulator (tests/support/emulator/CMakeLists.txt), which also instruments every access to
// memory, so that pointers stay pointers.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

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

// What threads meet at has the place that it is written at, so that two of them cannot be taken for one.
#define TANDEM_HERE const ::tandem::emulator::Place& where = ::tandem::emulator::Place::current()

inline void __syncthreads(TANDEM_HERE) { tandem::emulator::sync_block(where); }
inline void __syncwarp(unsigned mask = 0xffffffffU, TANDEM_HERE) { tandem::emulator::sync_warp(mask, where); }
inline void __threadfence() {}

template <class T>
T __shfl_sync(unsigned mask, T x, int lane, TANDEM_HERE) {
    return tandem::emulator::shuffle(mask, x, lane, where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T x, int bits, TANDEM_HERE) {
    return tandem::emulator::shuffle(mask, x, tandem::emulator::lane() ^ bits, where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T x, unsigned by, TANDEM_HERE) {
    const unsigned from = static_cast<unsigned>(tandem::emulator::lane()) + by;
    return tandem::emulator::shuffle(mask, x, from < 32 ? static_cast<int>(from) : tandem::emulator::lane(), where);
}
template <class T>
T __shfl_up_sync(unsigned mask, T x, unsigned by, TANDEM_HERE) {
    const int from = tandem::emulator::lane() - static_cast<int>(by);
    return tandem::emulator::shuffle(mask, x, from >= 0 ? from : tandem::emulator::lane(), where);
}
inline unsigned __ballot_sync(unsigned mask, int vote, TANDEM_HERE) { return tandem::emulator::ballot(mask, vote != 0, where); }
inline int __any_sync(unsigned mask, int vote, TANDEM_HERE) { return tandem::emulator::ballot(mask, vote != 0, where) != 0; }
inline int __all_sync(unsigned mask, int vote, TANDEM_HERE) { return tandem::emulator::ballot(mask, vote != 0, where) == mask; }

template <class T>
T atomicAdd(T* x, std::type_identity_t<T> by) {
    return tandem::emulator::atomic(x, [by](T old) { return static_cast<T>(old + by); });
}
template <class T>
T atomicMax(T* x, std::type_identity_t<T> other) {
    return tandem::emulator::atomic(x, [other](T old) { return old > other ? old : other; });
}
template <class T>
T atomicOr(T* x, std::type_identity_t<T> bits) {
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

/// Values go in and out, so that the arrays stay the thread's own and are not reported.
template <class T>
void mma(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], TANDEM_HERE) {
    constexpr emulator::Half kType = std::is_same_v<T, bf16> ? emulator::Half::BF16 : emulator::Half::F16;
    const emulator::Sums sums = emulator::matrix_product(kType, {{d[0], d[1], d[2], d[3]}, {a[0], a[1], a[2], a[3]}, {b[0], b[1]}}, where);
    for (int i = 0; i < 4; ++i) d[i] = sums[static_cast<std::size_t>(i)];
}

inline void ldmatrix(std::uint32_t (&r)[4], const void* row, TANDEM_HERE) {
    const emulator::Words words = emulator::load_matrix(row, emulator::Tile::AsStored, where);
    for (int i = 0; i < 4; ++i) r[i] = words[static_cast<std::size_t>(i)];
}
inline void ldmatrix_transposed(std::uint32_t (&r)[4], const void* row, TANDEM_HERE) {
    const emulator::Words words = emulator::load_matrix(row, emulator::Tile::Transposed, where);
    for (int i = 0; i < 4; ++i) r[i] = words[static_cast<std::size_t>(i)];
}

inline void copy_async(void* to, const void* from, bool valid) { emulator::start_copy(to, from, valid); }
inline void copy_async_commit() { emulator::commit_copies(); }
template <int kPending>
void copy_async_wait() {
    emulator::wait_copies(kPending);
}

inline float exp2_fast(float x) { return std::exp2(x); }
inline void give_up() { emulator::give_up(); }

#undef TANDEM_HERE

}  // namespace tandem::cuda
