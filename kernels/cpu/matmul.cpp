#include "kernels/ops/matmul.h"

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

}  // namespace tandem
