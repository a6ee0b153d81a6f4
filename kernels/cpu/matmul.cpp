#include "kernels/ops/matmul.h"

#include "kernels/cpu/backend_cpu.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/gemv.h"
#include "kernels/cpu/matmul_widened.h"
#include "kernels/cpu/onednn.h"

namespace tandem {

void CpuBackend::matmul(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) {
    cpu::require_computable(a.x);
    const bool native = a.x.dtype() == DType::F32 || (a.x.dtype() == DType::BF16 && cpu::onednn_has_bf16());
    if (cpu::gemv_applies(a, b)) return cpu::gemv(threads_, a.x, b.x, c, alpha, write);
    omp_set_num_threads(threads_);  // another backend of this process may have asked for another team
    if (native) onednn_->run(ctx, a, b, c, alpha, write);
    else cpu::matmul_widened(ctx, *onednn_, threads_, a, b, c, alpha, write);
}

}  // namespace tandem
