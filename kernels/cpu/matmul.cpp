#include "kernels/ops/matmul.h"

#include <cstring>

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/matmul_route.h"
#include "kernels/cpu/matmul_widened.h"

namespace tandem {

void CpuBackend::matmul(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
    cpu::require_computable(a.x);
    omp_set_num_threads(threads_);  // another backend of this process may have asked for another team
    switch (cpu::route_of(a, b)) {
        case cpu::Route::Gemv: return cpu::gemv(threads_, a.x, b.x, c, alpha, write);
        case cpu::Route::Native: return onednn_->run(ctx, a, b, c, alpha, write);
        case cpu::Route::Widened: return cpu::matmul_widened(ctx, *onednn_, threads_, a, b, c, alpha, write, cpu::Execution::Compute);
    }
}

// Accumulated onto rows of the bias, whichever way the product goes: the sum is rounded once.
void CpuBackend::matmul_bias(Context& ctx, const Operand& a, const Operand& b, const Tensor& bias, const Tensor& c) {
    cpu::require_computable(c);
    cpu::parallel_for(threads_, c.extent(0), [&](std::int64_t i) { std::memcpy(c.rows(i, i + 1).raw(), bias.raw(), bias.bytes()); });
    matmul(ctx, a, b, c, 1.0, Write::Accumulate);
}

}  // namespace tandem
