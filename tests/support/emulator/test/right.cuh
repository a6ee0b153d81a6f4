// Kernels without fault, whose results test_right.cpp computes by other means.
#pragma once

#include <cstdint>

#include "kernels/cuda/rows.cuh"

namespace tandem::emulator::test {

using cuda::Status;
using cuda::StreamHandle;

/// d [16, 8] += a [16, 16] b [16, 8] of 16-bit numbers, fragments loaded one number at a time.
Status launch_mma(cuda::Element type, const std::uint16_t* a, const std::uint16_t* b, float* d, StreamHandle stream);
/// d [16, 16] += a [16, 16] b [16, 16], bf16, fragments loaded by ldmatrix, b's by its transposed form.
Status launch_ldmatrix(const std::uint16_t* a, const std::uint16_t* b, float* d, StreamHandle stream);

/// For lanes l: y[0][l] from lane 31 - l, y[1] from l ^ 5, y[2] from 3 below, y[3] from 3 above, of x[l] (64 bits each).
Status launch_shuffles(const std::int64_t* x, std::int64_t* y, StreamHandle stream);
/// y[0..2]: ballot, any and all of x[l] != 0.
Status launch_votes(const int* x, unsigned* y, StreamHandle stream);
/// y[2 t], y[2 t + 1]: sum and maximum of x[0 .. threads) as thread t has them.
Status launch_reductions(int threads, const float* x, float* y, StreamHandle stream);

/// y[0] += threads * blocks, y[1] = max of indices, y[2] |= bits, y[3] += by way of shared memory.
Status launch_atomics(unsigned blocks, unsigned threads, int* y, StreamHandle stream);
/// y = prefix sums of x [64], by doubling distances in shared memory.
Status launch_prefix_sums(const int* x, int* y, StreamHandle stream);
/// y = x, by 16-byte asynchronous copies in two buffers; zeros where i >= valid.
Status launch_pipeline(const int* x, int* y, int tiles, int valid, StreamHandle stream);
/// y[i] = i-th thread's number over a grid of 2 x 3 x 2 blocks of 32 threads; then every block adds what all may read: x[0].
Status launch_grid(const int* x, int* y, StreamHandle stream);
/// Things that look like faults and are not; y[t] = 1 for 64 threads.
Status launch_innocent(const int* x, int* y, StreamHandle stream);

/// y[0 .. count) = value
Status launch_fill(int* y, int count, int value, StreamHandle stream);

}  // namespace tandem::emulator::test
