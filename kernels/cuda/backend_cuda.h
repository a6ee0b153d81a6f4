// An NVIDIA GPU as a device: cuBLASLt's matrix products and own kernels, behind seams of which the emulator of the tests has a second
// implementation (runtime.h, launch.cuh, graph.h, matrix_products.h, device.h). Every op returns when its work is in the stream's queue
// (queue.h). One device a process, driven by one thread: ranks are processes. Compiled into libtandem_cuda.so, which is opened at run time
// (kernels/loader), so that the program itself needs no library of CUDA's.
#pragma once

#include <memory>

#include "kernels/base/plugin.h"

namespace tandem {

namespace cuda {
struct Graphs;
class LibraryAttention;
class MatrixProducts;
}  // namespace cuda

class CudaBackend final : public Backend {
public:
    /// Device number `device` of those that CUDA shows this process. Throws Configuration where there is no such device, or its
    /// architecture is older than any that is compiled in, or where cuDNN is asked for and missing.
    explicit CudaBackend(int device, const DeviceOptions& options = {});
    ~CudaBackend() override;

    [[nodiscard]] std::string_view name() const override { return "cuda"; }
    [[nodiscard]] std::string description() const override;
    [[nodiscard]] std::string work_summary() const override;
    [[nodiscard]] bool supports(DType compute) const override {
        return compute == DType::F32 || compute == DType::BF16 || compute == DType::F16;
    }

    void* reserve(std::size_t bytes) override;
    void unreserve(void* base, std::size_t bytes) noexcept override;
    std::unique_ptr<Stream> make_stream() override;
    std::unique_ptr<Event> make_event() override;
    /// From pageable memory: returns when `source` may be written again. From pinned memory: `source` must stay as it is until the
    /// stream has come this far.
    void copy_from_host(Stream&, const void* source, const Tensor& target) override;
    /// To pageable memory: `target` is complete on return. To pinned memory: once the stream has come this far.
    void copy_to_host(Stream&, const Tensor& source, void* target) override;
    [[nodiscard]] std::size_t free_memory() const override;
    void* reserve_host(std::size_t bytes) override;
    void unreserve_host(void* base, std::size_t bytes) noexcept override;

    void zero(Context&, const Tensor& x) override;
    void cast(Context&, const Tensor& x, const Tensor& y) override;
    void add(Context&, const Tensor& a, const Tensor& b, const Tensor& y) override;
    void axpy(Context&, double alpha, const Tensor& x, const Tensor& y) override;
    void dropout(Context&, const DropoutMask& mask, const Tensor& row_ids, const Tensor& x, const Tensor& y) override;
    void matmul(Context&, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write) override;
    void matmul_bias(Context&, const Operand& a, const Operand& b, const Tensor& bias, const Tensor& c) override;
    void bias_add(Context&, const Tensor& bias, const Tensor& y) override;
    void bias_backward(Context&, const Tensor& dy, const Tensor& dbias) override;
    void dequantize(Context&, const FourBitMatrix& w, const Tensor& y) override;
    void embedding(Context&, const Tensor& table, const Tensor& ids, const Tensor& y) override;
    void embedding_backward(Context&, const Tensor& dy, const Tensor& ids, const Tensor& dtable) override;
    void gather_rows(Context&, const Tensor& x, const Tensor& index, const Tensor& y) override;
    void scatter_rows(Context&, const Tensor& x, const Tensor& index, const Tensor& y) override;
    void rmsnorm(Context&, const RmsNorm& norm, const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& rstd) override;
    void rmsnorm_backward(Context&, const RmsNorm& norm, const Tensor& dy, const Tensor& x, const Tensor& w, const Tensor& rstd,
                          const Tensor& dx, Write write, const Tensor& dw) override;
    void rope(Context&, Rotation rotation, const Tensor& cos, const Tensor& sin, const Tensor& positions, const Tensor& x) override;
    void attention(Context&, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k, const Tensor& v,
                   const Tensor& o, const Tensor& lse) override;
    void attention_backward(Context&, const Attention& params, const Segments& segments, const Tensor& d_o, const Tensor& q,
                            const Tensor& k, const Tensor& v, const Tensor& o, const Tensor& lse, const Tensor& dq, const Tensor& dk,
                            const Tensor& dv) override;
    void glu(Context&, Activation activation, const Tensor& gate, const Tensor& up, const Tensor& y) override;
    void glu_backward(Context&, Activation activation, const Tensor& dy, const Tensor& gate, const Tensor& up, const Tensor& dgate,
                      const Tensor& dup) override;
    void cross_entropy(Context&, const Tensor& logits, const Tensor& labels, const Tensor& loss_sum, const Tensor& dlogits) override;
    void cross_entropy_statistics(Context&, const Tensor& logits, const Tensor& labels, const Tensor& statistics) override;
    void cross_entropy_from_statistics(Context&, const Tensor& logits, const Tensor& labels, const Tensor& statistics,
                                       const Tensor& loss_sum, const Tensor& dlogits) override;
    void sum_of_squares(Context&, const Tensor& x, const Tensor& sum) override;
    void clip_scale(Context&, const Tensor& sum, double max_norm, double inverse_tokens, const Tensor& norm, const Tensor& scale) override;
    void adamw(Context&, const AdamW& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& m, const Tensor& v,
               const Tensor& master) override;
    void adamw_8bit(Context&, const AdamW& params, const Tensor& grad_scale, const Tensor& grad, const EightBitMoments& moments,
                    const Tensor& master) override;
    void sgd(Context&, const Sgd& params, const Tensor& grad_scale, const Tensor& grad, const Tensor& master) override;

private:
    void flush() noexcept;

    int device_;
    std::unique_ptr<cuda::Graphs> graphs_;  ///< null where they are off
    std::unique_ptr<cuda::MatrixProducts> products_;
    std::unique_ptr<cuda::LibraryAttention> library_attention_;  ///< null: own kernels
};

}  // namespace tandem
