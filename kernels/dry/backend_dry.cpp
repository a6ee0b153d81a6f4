#include "kernels/dry/backend_dry.h"

#include <algorithm>

#include "kernels/base/host_stream.h"

namespace tandem {

namespace {

/// Bytes of the operands that are there.
template <class... Tensors>
std::int64_t bytes_of(const Tensors&... x) {
    return (std::int64_t{0} + ... + (x ? static_cast<std::int64_t>(x.bytes()) : 0));
}

/// Pairs of query and key that see each other: samples of max_length keys side by side, each causal, or within the window.
std::int64_t visible_pairs(const Attention& params, const Segments& segments, std::int64_t queries) {
    const std::int64_t length = std::max<std::int64_t>(segments.max_length, 1);
    const std::int64_t window = params.window > 0 ? std::min(params.window, length) : length;
    const std::int64_t of_sample = window * (window + 1) / 2 + (length - window) * window;
    return queries * of_sample / length;
}

}  // namespace

void* DryBackend::reserve(std::size_t bytes) {
    const std::uintptr_t address = next_address_;
    next_address_ += (bytes / Arena::kAlignment + 1) * Arena::kAlignment;
    return reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr): nothing lies there, and nobody looks
}

std::unique_ptr<Stream> DryBackend::make_stream() { return std::make_unique<HostStream>(); }
std::unique_ptr<Event> DryBackend::make_event() { return std::make_unique<HostEvent>(); }

void DryBackend::zero(Context&, const Tensor& x) { counts_.add("zero", 0, bytes_of(x)); }

void DryBackend::cast(Context&, const Tensor& x, const Tensor& y) { counts_.add("cast", 0, bytes_of(x, y)); }

void DryBackend::add(Context&, const Tensor& a, const Tensor& b, const Tensor& y) { counts_.add("add", y.elements(), bytes_of(a, b, y)); }

void DryBackend::axpy(Context&, double, const Tensor& x, const Tensor& y) { counts_.add("axpy", 2 * y.elements(), bytes_of(x, y, y)); }

void DryBackend::dropout(Context&, const DropoutMask&, const Tensor& row_ids, const Tensor& x, const Tensor& y) {
    counts_.add("dropout", y.elements(), bytes_of(row_ids, x, y));
}

void DryBackend::matmul(Context&, const Operand& a, const Operand& b, const Tensor& c, double, Write write) {
    const std::int64_t flops = 2 * c.extent(0) * c.extent(1) * a.columns();
    counts_.add("matmul", flops, bytes_of(a.x, b.x, c) + (write == Write::Accumulate ? bytes_of(c) : 0));
}

void DryBackend::bias_add(Context&, const Tensor& bias, const Tensor& y) { counts_.add("bias_add", y.elements(), bytes_of(bias, y, y)); }

void DryBackend::bias_backward(Context&, const Tensor& dy, const Tensor& dbias) {
    counts_.add("bias_backward", dy.elements(), bytes_of(dy, dbias, dbias));
}

void DryBackend::embedding(Context&, const Tensor&, const Tensor& ids, const Tensor& y) {
    counts_.add("embedding", 0, bytes_of(ids, y, y));
}

void DryBackend::embedding_backward(Context&, const Tensor& dy, const Tensor& ids, const Tensor& dtable) {
    const std::int64_t touched = dy.elements() * static_cast<std::int64_t>(size_of(dtable.dtype()));
    counts_.add("embedding_backward", dy.elements(), bytes_of(dy, ids) + 2 * touched);
}

void DryBackend::gather_rows(Context&, const Tensor&, const Tensor& index, const Tensor& y) {
    counts_.add("gather_rows", 0, bytes_of(index, y, y));
}

void DryBackend::scatter_rows(Context&, const Tensor& x, const Tensor& index, const Tensor&) {
    counts_.add("scatter_rows", 0, bytes_of(index, x, x));
}

void DryBackend::rmsnorm(Context&, const RmsNorm&, const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& rstd) {
    counts_.add("rmsnorm", 4 * x.elements(), bytes_of(x, w, y, rstd));
}

void DryBackend::rmsnorm_backward(Context&, const RmsNorm&, const Tensor& dy, const Tensor& x, const Tensor& w, const Tensor& rstd,
                                  const Tensor& dx, Write write, const Tensor& dw) {
    const std::int64_t bytes = bytes_of(dy, x, w, rstd, dx, dw, dw) + (write == Write::Accumulate ? bytes_of(dx) : 0);
    counts_.add("rmsnorm_backward", (dw ? 10 : 8) * x.elements(), bytes);
}

void DryBackend::rope(Context&, Rotation, const Tensor&, const Tensor&, const Tensor& positions, const Tensor& x) {
    counts_.add("rope", 3 * x.elements(), bytes_of(positions, x, x));
}

void DryBackend::attention(Context&, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k, const Tensor& v,
                           const Tensor& o, const Tensor& lse) {
    const std::int64_t pairs = visible_pairs(params, segments, q.extent(0)) * q.extent(1);
    counts_.add("attention", 4 * pairs * q.extent(2), bytes_of(q, k, v, o, lse));
}

void DryBackend::attention_backward(Context&, const Attention& params, const Segments& segments, const Tensor& d_o, const Tensor& q,
                                    const Tensor& k, const Tensor& v, const Tensor& o, const Tensor& lse, const Tensor& dq,
                                    const Tensor& dk, const Tensor& dv) {
    const std::int64_t pairs = visible_pairs(params, segments, q.extent(0)) * q.extent(1);
    counts_.add("attention_backward", 10 * pairs * q.extent(2), bytes_of(d_o, q, k, v, o, lse, dq, dk, dv));
}

void DryBackend::glu(Context&, Activation, const Tensor& gate, const Tensor& up, const Tensor& y) {
    counts_.add("glu", 5 * y.elements(), bytes_of(gate, up, y));
}

void DryBackend::glu_backward(Context&, Activation, const Tensor& dy, const Tensor& gate, const Tensor& up, const Tensor& dgate,
                              const Tensor& dup) {
    counts_.add("glu_backward", 10 * dy.elements(), bytes_of(dy, gate, up, dgate, dup));
}

void DryBackend::cross_entropy(Context&, const Tensor& logits, const Tensor& labels, const Tensor&, const Tensor& dlogits) {
    counts_.add("cross_entropy", 5 * logits.elements(), bytes_of(logits, labels, dlogits));
}

void DryBackend::sum_of_squares(Context&, const Tensor& x, const Tensor&) { counts_.add("sum_of_squares", 2 * x.elements(), bytes_of(x)); }

void DryBackend::clip_scale(Context&, const Tensor&, double, double, const Tensor&, const Tensor&) { counts_.add("clip_scale", 0, 0); }

void DryBackend::adamw(Context&, const AdamW&, const Tensor&, const Tensor& grad, const Tensor& m, const Tensor& v, const Tensor& master) {
    counts_.add("adamw", 14 * grad.elements(), bytes_of(grad, m, m, v, v, master, master));
}

void DryBackend::sgd(Context&, const Sgd&, const Tensor&, const Tensor& grad, const Tensor& master) {
    counts_.add("sgd", 4 * grad.elements(), bytes_of(grad, master, master));
}

std::unique_ptr<DryBackend> make_dry_ref_backend() { return std::make_unique<DryBackend>(); }

}  // namespace tandem
