#include "kernels/ops/cross_entropy.h"

#include "kernels/ops/check.h"

namespace tandem::ops {

namespace {

/// Logits with one label a row.
void check_labelled(const Check& check, const Tensor& logits, const Tensor& labels) {
    check.dims("logits", logits, 2);
    check.that(logits.dtype() == DType::F32 || logits.dtype() == DType::F64, "logits is {}, but fp32 or fp64 is needed", logits.str());
    check.that(logits.extent(0) == 0 || logits.extent(1) > 0, "logits is {}: the vocabulary is empty", logits.str());
    check.type("labels", labels, DType::I32);
    check.shape("labels", labels, Shape{logits.extent(0)});
    check.contiguous("labels", labels);
}

void check_gradient(const Check& check, const Tensor& logits, const Tensor& dlogits) {
    if (!dlogits) return;
    check.floating("dlogits", dlogits);
    check.shape("dlogits", dlogits, logits.shape());
    check.accumulation("logits", logits, dlogits.dtype());
    check.same_or_apart("logits", logits, "dlogits", dlogits);
}

}  // namespace

void cross_entropy(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& loss_sum, const Tensor& dlogits) {
    const Check check("cross_entropy");
    check_labelled(check, logits, labels);
    check.scalar("loss_sum", loss_sum);
    check_gradient(check, logits, dlogits);
    if (logits.extent(0) == 0) return;
    ctx.backend.cross_entropy(ctx, logits, labels, loss_sum, dlogits);
}

void cross_entropy_statistics(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& statistics) {
    const Check check("cross_entropy_statistics");
    check_labelled(check, logits, labels);
    check.type("statistics", statistics, logits.dtype());
    check.shape("statistics", statistics, Shape{logits.extent(0), 3});
    check.contiguous("statistics", statistics);
    check.apart("logits", logits, "statistics", statistics);
    if (logits.extent(0) == 0) return;
    ctx.backend.cross_entropy_statistics(ctx, logits, labels, statistics);
}

void cross_entropy_from_statistics(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& statistics,
                                   const Tensor& loss_sum, const Tensor& dlogits) {
    const Check check("cross_entropy_from_statistics");
    check_labelled(check, logits, labels);
    check.dims("statistics", statistics, 3);
    check.type("statistics", statistics, logits.dtype());
    check.shape("statistics", statistics, Shape{statistics.extent(0), logits.extent(0), 3});
    check.contiguous("statistics", statistics);
    check.that(statistics.extent(0) > 0, "statistics is {}: there is no part", statistics.str());
    if (loss_sum) check.scalar("loss_sum", loss_sum);
    check_gradient(check, logits, dlogits);
    if (dlogits) check.apart("statistics", statistics, "dlogits", dlogits);
    if (logits.extent(0) == 0 || (!loss_sum && !dlogits)) return;
    ctx.backend.cross_entropy_from_statistics(ctx, logits, labels, statistics, loss_sum, dlogits);
}

}  // namespace tandem::ops
