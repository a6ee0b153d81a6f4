#include "kernels/ops/elementwise.h"

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/stream.h"
#include "kernels/cuda/transfer.h"

namespace tandem {

namespace {

cuda::Element element(std::string_view op, const Tensor& x) {
    switch (x.dtype()) {
        case DType::F32: return cuda::Element::F32;
        case DType::BF16: return cuda::Element::BF16;
        case DType::F16: return cuda::Element::F16;
        default: fail(Failure::Run, "{}: the cuda backend computes in fp32, bf16 and fp16, not in {}", op, x.str());
    }
}

/// The operands of one call: as a single row where all are contiguous.
template <std::size_t N>
struct Operands {
    Operands(std::string_view op, const std::array<Tensor, N>& tensors) {
        const Tensor& first = tensors[0];
        bool contiguous = true;
        for (const Tensor& x : tensors) contiguous = contiguous && x.contiguous();
        if (contiguous) extent = {1, first.elements()};
        else extent = {first.extent(0), first.row_elements()};
        for (std::size_t i = 0; i < N; ++i) {
            const Tensor& x = tensors[i];
            rows[i] = {x.raw(), element(op, x), x.contiguous() ? extent.columns : x.row_stride()};
        }
    }
    cuda::Extent extent{};
    std::array<cuda::Rows, N> rows{};
};

}  // namespace

void CudaBackend::zero(Context& ctx, const Tensor& x) {
    cuda::check(cuda::fill_zero(cuda::Bytes(x), cuda::native(ctx.stream)), "zero", {x});
}

void CudaBackend::cast(Context& ctx, const Tensor& x, const Tensor& y) {
    const auto stream = cuda::native(ctx.stream);
    if (x.dtype() == y.dtype()) {
        if (x.raw() == y.raw()) return;  // the same view, as the op's check has it
        return cuda::check(cuda::copy(cuda::Bytes(y), cuda::Bytes(x), cudaMemcpyDeviceToDevice, stream), "cast", {x, y});
    }
    const Operands<2> o("cast", {x, y});
    cuda::check(cuda::launch_cast(o.extent, o.rows[0], o.rows[1], stream), "cast", {x, y});
}

void CudaBackend::add(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& y) {
    const Operands<3> o("add", {a, b, y});
    cuda::check(cuda::launch_add(o.extent, o.rows[0], o.rows[1], o.rows[2], cuda::native(ctx.stream)), "add", {a, b, y});
}

void CudaBackend::axpy(Context& ctx, double alpha, const Tensor& x, const Tensor& y) {
    const Operands<2> o("axpy", {x, y});
    cuda::check(cuda::launch_axpy(o.extent, static_cast<float>(alpha), o.rows[0], o.rows[1], cuda::native(ctx.stream)), "axpy", {x, y});
}

}  // namespace tandem
