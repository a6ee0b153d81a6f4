// A device whose ops are counted and timed: what a step's time is made of.
#pragma once

#include "kernels/dry/backend_dry.h"

namespace tandem {

/// Counts as a dry run does and runs every op on `device`, waiting for it: sums of seconds are per op, and nothing overlaps.
class TimedBackend final : public DryBackend {
public:
    explicit TimedBackend(std::unique_ptr<Backend> device) : device_(std::move(device)) {}

    [[nodiscard]] std::string_view name() const override { return device_->name(); }
    [[nodiscard]] std::string description() const override { return device_->description(); }
    [[nodiscard]] std::string work_summary() const override { return device_->work_summary(); }
    [[nodiscard]] bool supports(DType compute) const override { return device_->supports(compute); }
    void* reserve(std::size_t bytes) override { return device_->reserve(bytes); }
    void unreserve(void* base, std::size_t bytes) noexcept override { device_->unreserve(base, bytes); }
    void* reserve_host(std::size_t bytes) override { return device_->reserve_host(bytes); }
    void unreserve_host(void* base, std::size_t bytes) noexcept override { device_->unreserve_host(base, bytes); }
    std::unique_ptr<Stream> make_stream() override { return device_->make_stream(); }
    std::unique_ptr<Event> make_event() override { return device_->make_event(); }
    void copy_from_host(Stream& stream, const void* source, const Tensor& target) override {
        device_->copy_from_host(stream, source, target);
    }
    void copy_to_host(Stream& stream, const Tensor& source, void* target) override { device_->copy_to_host(stream, source, target); }

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
    template <class Op>
    void timed(Context& ctx, Op&& op);
    std::unique_ptr<Backend> device_;
};

}  // namespace tandem
