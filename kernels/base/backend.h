// One device: its memory, its streams, and the table of ops. A backend that lacks an op does not compile.
//
// Public callers use the functions of kernels/ops/*.h, which check operands once; the virtuals here only compute and may
// rely on those checks. What each op means is said in its header in kernels/ops/ and by kernels/ref/.
#pragma once

#include <memory>
#include <string_view>

#include "kernels/base/context.h"
#include "kernels/base/host_memory.h"
#include "kernels/base/tensor.h"
#include "kernels/ops/four_bit_matrix.h"
#include "kernels/ops/types.h"

namespace tandem {

class Backend {
public:
    virtual ~Backend() = default;
    [[nodiscard]] virtual std::string_view name() const = 0;    ///< "ref", "cpu", ...
    [[nodiscard]] virtual std::string description() const = 0;  ///< one line for logs: processor, instruction set, threads
    /// One line on how work reached the device so far; empty where there is nothing to say.
    [[nodiscard]] virtual std::string work_summary() const { return ""; }
    [[nodiscard]] virtual bool supports(DType compute) const = 0;  ///< can be `model.dtype`

    // Memory and order. reserve() throws OutOfMemory; copies are enqueued on the stream.
    virtual void* reserve(std::size_t bytes) = 0;
    virtual void unreserve(void* base, std::size_t bytes) noexcept = 0;
    /// Bytes that reserve() could still get, other programs' use considered. 0 where that cannot be told (hosts).
    [[nodiscard]] virtual std::size_t free_memory() const { return 0; }
    virtual std::unique_ptr<Stream> make_stream() = 0;
    virtual std::unique_ptr<Event> make_event() = 0;
    virtual void copy_from_host(Stream&, const void* source, const Tensor& target) = 0;
    virtual void copy_to_host(Stream&, const Tensor& source, void* target) = 0;
    /// Zeroed host memory for what moves to the device and back all the time. A device for which that is worth it pins it.
    virtual void* reserve_host(std::size_t bytes) { return reserve_host_memory(bytes); }
    virtual void unreserve_host(void* base, std::size_t bytes) noexcept { unreserve_host_memory(base, bytes); }

    // elementwise.h
    virtual void zero(Context&, const Tensor& x) = 0;
    virtual void cast(Context&, const Tensor& x, const Tensor& y) = 0;
    virtual void add(Context&, const Tensor& a, const Tensor& b, const Tensor& y) = 0;
    virtual void axpy(Context&, double alpha, const Tensor& x, const Tensor& y) = 0;
    virtual void dropout(Context&, const DropoutMask& mask, const Tensor& row_ids, const Tensor& x, const Tensor& y) = 0;
    // matmul.h, bias.h
    virtual void matmul(Context&, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) = 0;
    virtual void matmul_bias(Context&, const Operand& a, const Operand& b, const Tensor& bias, const Tensor& c) = 0;
    virtual void bias_add(Context&, const Tensor& bias, const Tensor& y) = 0;
    virtual void bias_backward(Context&, const Tensor& dy, const Tensor& dbias) = 0;
    // quantization.h
    virtual void dequantize(Context&, const FourBitMatrix& w, const Tensor& y) = 0;
    // embedding.h
    virtual void embedding(Context&, const Tensor& table, const Tensor& ids, const Tensor& y) = 0;
    virtual void embedding_backward(Context&, const Tensor& dy, const Tensor& ids, const Tensor& dtable) = 0;
    virtual void gather_rows(Context&, const Tensor& x, const Tensor& index, const Tensor& y) = 0;
    virtual void scatter_rows(Context&, const Tensor& x, const Tensor& index, const Tensor& y) = 0;
    // rmsnorm.h
    virtual void rmsnorm(Context&, const RmsNorm& norm, const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& rstd) = 0;
    virtual void rmsnorm_backward(Context&, const RmsNorm& norm, const Tensor& dy, const Tensor& x, const Tensor& w, const Tensor& rstd,
                                  const Tensor& dx, Write write, const Tensor& dw) = 0;
    // rope.h
    virtual void rope(Context&, Rotation rotation, const Tensor& cos, const Tensor& sin, const Tensor& positions, const Tensor& x) = 0;
    // attention.h
    virtual void attention(Context&, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k, const Tensor& v,
                           const Tensor& o, const Tensor& lse) = 0;
    virtual void attention_backward(Context&, const Attention& params, const Segments& segments, const Tensor& d_o, const Tensor& q,
                                    const Tensor& k, const Tensor& v, const Tensor& o, const Tensor& lse, const Tensor& dq,
                                    const Tensor& dk, const Tensor& dv) = 0;
    // glu.h
    virtual void glu(Context&, Activation activation, const Tensor& gate, const Tensor& up, const Tensor& y) = 0;
    virtual void glu_backward(Context&, Activation activation, const Tensor& dy, const Tensor& gate, const Tensor& up, const Tensor& dgate,
                              const Tensor& dup) = 0;
    // cross_entropy.h
    virtual void cross_entropy(Context&, const Tensor& logits, const Tensor& labels, const Tensor& loss_sum, const Tensor& dlogits) = 0;
    virtual void cross_entropy_statistics(Context&, const Tensor& logits, const Tensor& labels, const Tensor& statistics) = 0;
    virtual void cross_entropy_from_statistics(Context&, const Tensor& logits, const Tensor& labels, const Tensor& statistics,
                                               const Tensor& loss_sum, const Tensor& dlogits) = 0;
    // optimizer.h
    virtual void sum_of_squares(Context&, const Tensor& x, const Tensor& sum) = 0;
    virtual void clip_scale(Context&, const Tensor& sum, double max_norm, double inverse_tokens, const Tensor& norm,
                            const Tensor& scale) = 0;
    virtual void adamw(Context&, const AdamW& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& m, const Tensor& v,
                       const Tensor& master) = 0;
    virtual void adamw_8bit(Context&, const AdamW& params, const Tensor& grad_scale, const Tensor& grad, const EightBitMoments& moments,
                            const Tensor& master) = 0;
    virtual void sgd(Context&, const Sgd& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& master) = 0;
};

/// The plain sequential definition of every op; fp64, fp32 and bf16.
std::unique_ptr<Backend> make_ref_backend();
/// OpenMP and oneDNN; fp32 and bf16. `threads` >= 1.
std::unique_ptr<Backend> make_cpu_backend(int threads);

}  // namespace tandem
