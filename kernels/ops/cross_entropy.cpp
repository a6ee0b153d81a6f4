#include "kernels/ops/cross_entropy.h"

#include "kernels/ops/check.h"

namespace tandem::ops {

void cross_entropy(Context& ctx, const Tensor& logits, const Tensor& labels, const Tensor& loss_sum, const Tensor& dlogits) {
    const Check check("cross_entropy");
    check.dims("logits", logits, 2);
    check.that(logits.dtype() == DType::F32 || logits.dtype() == DType::F64, "logits is {}, but fp32 or fp64 is needed", logits.str());
    check.type("labels", labels, DType::I32);
    check.shape("labels", labels, Shape{logits.extent(0)});
    check.contiguous("labels", labels);
    check.scalar("loss_sum", loss_sum);
    if (dlogits) {
        check.floating("dlogits", dlogits);
        check.shape("dlogits", dlogits, logits.shape());
        check.accumulation("logits", logits, dlogits.dtype());
        check.same_or_apart("logits", logits, "dlogits", dlogits);
    }
    if (logits.extent(0) == 0) return;
    check.that(logits.extent(1) > 0, "logits is {}: the vocabulary is empty", logits.str());
    ctx.backend.cross_entropy(ctx, logits, labels, loss_sum, dlogits);
}

}  // namespace tandem::ops
