#include "kernels/cuda/sums.cuh"

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"

namespace tandem::cuda {

namespace {

constexpr int kThreads = 256;

struct Scratch {
    double at[kThreads / kWarp];
};

__global__ void __launch_bounds__(kThreads) add_parts(const double* parts, std::int64_t count, double* sum) {
    double own = 0.0;
    for (std::int64_t i = threadIdx.x; i < count; i += kThreads) own += parts[i];
    const double total = reduce_block<kThreads>(own, Sum{}, shared<Scratch>().at);
    if (threadIdx.x == 0) *sum += total;
}

}  // namespace

Status launch_add_parts(const double* parts, std::int64_t count, double* sum, StreamHandle stream) {
    return cuda::launch({"sum of parts", {}, kThreads, sizeof(Scratch)}, stream, add_parts, parts, count, sum);
}

}  // namespace tandem::cuda
