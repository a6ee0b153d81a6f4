// The dry backend: allocates nothing and computes nothing, it counts. Arenas on it hand out addresses at which there is no
// memory, so that their high-water marks are those of a real run; ops count flops and bytes. The planner runs the trainer
// itself on it, and so cannot drift from what a run allocates.
#pragma once

#include "kernels/base/attention_kernels.h"
#include "kernels/base/backend.h"
#include "kernels/dry/op_counts.h"

namespace tandem {

/// Models a device whose ops need no workspace (ref). A device that takes workspace derives from this, beside its backend
/// (kernels/cpu/backend_dry_cpu.h): its ops count as these do, and take and give back what the real op takes.
class DryBackend : public Backend {
public:
    [[nodiscard]] std::string_view name() const override { return "ref"; }  ///< of the device it models
    [[nodiscard]] std::string description() const override { return "dry run: counts, computes nothing"; }
    [[nodiscard]] bool supports(DType compute) const override { return is_float(compute); }

    [[nodiscard]] OpCounts& counts() { return counts_; }

    void* reserve(std::size_t bytes) override;
    void unreserve(void*, std::size_t) noexcept override {}
    void* reserve_host(std::size_t bytes) override { return DryBackend::reserve(bytes); }
    void unreserve_host(void*, std::size_t) noexcept override {}
    std::unique_ptr<Stream> make_stream() override;
    std::unique_ptr<Event> make_event() override;
    void copy_from_host(Stream&, const void*, const Tensor& target) override { counts_.add_copy(target.bytes()); }
    void copy_to_host(Stream&, const Tensor& source, void*) override { counts_.add_copy(source.bytes()); }  ///< the host's stay as they are

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
    void count(std::string_view op, const std::array<std::int64_t, 3>& extents, std::int64_t flops, std::int64_t bytes) {
        counts_.add({op, extents, flops, bytes});
    }
    OpCounts counts_;
    std::uintptr_t next_address_ = std::uintptr_t{1} << 20U;
};

/// Models the ref backend.
std::unique_ptr<DryBackend> make_dry_ref_backend();
/// Models the cpu backend with `threads` threads on this processor.
std::unique_ptr<DryBackend> make_dry_cpu_backend(int threads);
/// Models the cuda backend; needs no GPU.
std::unique_ptr<DryBackend> make_dry_cuda_backend(AttentionKernels attention = AttentionKernels::Own);

}  // namespace tandem
