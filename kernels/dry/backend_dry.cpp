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

std::array<std::int64_t, 3> rows_and_columns(const Tensor& x) {
    const std::int64_t rows = x.dims() > 0 ? x.extent(0) : 1;
    return {rows, rows > 0 ? x.elements() / rows : 0, 0};
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

void DryBackend::zero(Context&, const Tensor& x) { count("zero", rows_and_columns(x), 0, bytes_of(x)); }

void DryBackend::cast(Context&, const Tensor& x, const Tensor& y) { count("cast", rows_and_columns(y), 0, bytes_of(x, y)); }

void DryBackend::add(Context&, const Tensor& a, const Tensor& b, const Tensor& y) {
    count("add", rows_and_columns(y), y.elements(), bytes_of(a, b, y));
}

void DryBackend::axpy(Context&, double, const Tensor& x, const Tensor& y) {
    count("axpy", rows_and_columns(y), 2 * y.elements(), bytes_of(x, y, y));
}

void DryBackend::dropout(Context&, const DropoutMask&, const Tensor& row_ids, const Tensor& x, const Tensor& y) {
    count("dropout", rows_and_columns(y), y.elements(), bytes_of(row_ids, x, y));
}

void DryBackend::matmul(Context&, const Operand& a, const Operand& b, const Tensor& c, double, Write write) {
    const std::int64_t flops = 2 * c.extent(0) * c.extent(1) * a.columns();
    count("matmul", {c.extent(0), c.extent(1), a.columns()}, flops, bytes_of(a.x, b.x, c) + (write == Write::Accumulate ? bytes_of(c) : 0));
}

/// Counted as a product: that is what its time is.
void DryBackend::matmul_bias(Context&, const Operand& a, const Operand& b, const Tensor& bias, const Tensor& c) {
    const std::int64_t flops = c.elements() * (2 * a.columns() + 1);
    count("matmul", {c.extent(0), c.extent(1), a.columns()}, flops, bytes_of(a.x, b.x, bias, c));
}

void DryBackend::bias_add(Context&, const Tensor& bias, const Tensor& y) {
    count("bias_add", rows_and_columns(y), y.elements(), bytes_of(bias, y, y));
}

void DryBackend::bias_backward(Context&, const Tensor& dy, const Tensor& dbias) {
    count("bias_backward", rows_and_columns(dy), dy.elements(), bytes_of(dy, dbias, dbias));
}

void DryBackend::dequantize(Context&, const FourBitMatrix& w, const Tensor& y) {
    count("dequantize", rows_and_columns(y), y.elements(), static_cast<std::int64_t>(w.bytes()) + bytes_of(y));
}

void DryBackend::embedding(Context&, const Tensor&, const Tensor& ids, const Tensor& y) {
    count("embedding", rows_and_columns(y), 0, bytes_of(ids, y, y));
}

void DryBackend::embedding_backward(Context&, const Tensor& dy, const Tensor& ids, const Tensor& dtable) {
    const std::int64_t touched = dy.elements() * static_cast<std::int64_t>(size_of(dtable.dtype()));
    count("embedding_backward", rows_and_columns(dy), dy.elements(), bytes_of(dy, ids) + 2 * touched);
}

void DryBackend::gather_rows(Context&, const Tensor&, const Tensor& index, const Tensor& y) {
    count("gather_rows", rows_and_columns(y), 0, bytes_of(index, y, y));
}

void DryBackend::scatter_rows(Context&, const Tensor& x, const Tensor& index, const Tensor&) {
    count("scatter_rows", rows_and_columns(x), 0, bytes_of(index, x, x));
}

void DryBackend::rmsnorm(Context&, const RmsNorm&, const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& rstd) {
    count("rmsnorm", rows_and_columns(x), 4 * x.elements(), bytes_of(x, w, y, rstd));
}

void DryBackend::rmsnorm_backward(Context&, const RmsNorm&, const Tensor& dy, const Tensor& x, const Tensor& w, const Tensor& rstd,
                                  const Tensor& dx, Write write, const Tensor& dw) {
    const std::int64_t bytes = bytes_of(dy, x, w, rstd, dx, dw, dw) + (write == Write::Accumulate ? bytes_of(dx) : 0);
    count("rmsnorm_backward", rows_and_columns(x), (dw ? 10 : 8) * x.elements(), bytes);
}

void DryBackend::rope(Context&, Rotation, const Tensor&, const Tensor&, const Tensor& positions, const Tensor& x) {
    count("rope", rows_and_columns(x), 3 * x.elements(), bytes_of(positions, x, x));
}

void DryBackend::attention(Context&, const Attention& params, const Segments& segments, const Tensor& q, const Tensor& k, const Tensor& v,
                           const Tensor& o, const Tensor& lse) {
    const std::int64_t pairs = visible_pairs(params, segments, q.extent(0)) * q.extent(1);
    count("attention", rows_and_columns(q), 4 * pairs * q.extent(2), bytes_of(q, k, v, o, lse));
}

void DryBackend::attention_backward(Context&, const Attention& params, const Segments& segments, const Tensor& d_o, const Tensor& q,
                                    const Tensor& k, const Tensor& v, const Tensor& o, const Tensor& lse, const Tensor& dq,
                                    const Tensor& dk, const Tensor& dv) {
    const std::int64_t pairs = visible_pairs(params, segments, q.extent(0)) * q.extent(1);
    count("attention_backward", rows_and_columns(q), 10 * pairs * q.extent(2), bytes_of(d_o, q, k, v, o, lse, dq, dk, dv));
}

void DryBackend::glu(Context&, Activation, const Tensor& gate, const Tensor& up, const Tensor& y) {
    count("glu", rows_and_columns(y), 5 * y.elements(), bytes_of(gate, up, y));
}

void DryBackend::glu_backward(Context&, Activation, const Tensor& dy, const Tensor& gate, const Tensor& up, const Tensor& dgate,
                              const Tensor& dup) {
    count("glu_backward", rows_and_columns(dy), 10 * dy.elements(), bytes_of(dy, gate, up, dgate, dup));
}

void DryBackend::cross_entropy(Context&, const Tensor& logits, const Tensor& labels, const Tensor&, const Tensor& dlogits) {
    count("cross_entropy", rows_and_columns(logits), 5 * logits.elements(), bytes_of(logits, labels, dlogits));
}

void DryBackend::cross_entropy_statistics(Context&, const Tensor& logits, const Tensor& labels, const Tensor& statistics) {
    count("cross_entropy_statistics", rows_and_columns(logits), 3 * logits.elements(), bytes_of(logits, labels, statistics));
}

void DryBackend::cross_entropy_from_statistics(Context&, const Tensor& logits, const Tensor& labels, const Tensor& statistics,
                                               const Tensor&, const Tensor& dlogits) {
    const std::int64_t bytes = bytes_of(labels, statistics) + (dlogits ? bytes_of(logits, dlogits) : 0);
    count("cross_entropy_from_statistics", rows_and_columns(logits), dlogits ? 3 * logits.elements() : 0, bytes);
}

void DryBackend::sum_of_squares(Context&, const Tensor& x, const Tensor&) {
    count("sum_of_squares", rows_and_columns(x), 2 * x.elements(), bytes_of(x));
}

void DryBackend::clip_scale(Context&, const Tensor&, double, double, const Tensor&, const Tensor&) { count("clip_scale", {}, 0, 0); }

void DryBackend::adamw(Context&, const AdamW&, const Tensor&, const Tensor& grad, const Tensor& m, const Tensor& v, const Tensor& master) {
    count("adamw", rows_and_columns(grad), 14 * grad.elements(), bytes_of(grad, m, m, v, v, master, master));
}

void DryBackend::adamw_8bit(Context&, const AdamW&, const Tensor&, const Tensor& grad, const EightBitMoments& moments,
                            const Tensor& master) {
    const auto& [m, v, m_absmax, v_absmax] = moments;
    count("adamw_8bit", {grad.elements(), 0, 0}, 24 * grad.elements(),
          bytes_of(grad, master, master) + 2 * bytes_of(m, v, m_absmax, v_absmax));
}

void DryBackend::sgd(Context&, const Sgd&, const Tensor&, const Tensor& grad, const Tensor& master) {
    count("sgd", rows_and_columns(grad), 4 * grad.elements(), bytes_of(grad, master, master));
}

std::unique_ptr<DryBackend> make_dry_ref_backend() { return std::make_unique<DryBackend>(); }

}  // namespace tandem
