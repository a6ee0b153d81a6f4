#include "src/model/not_finite.h"

namespace tandem {

void fail_not_finite(std::string_view what, DType dtype) {
    fail(Failure::Diverged, "{} not finite{}", what,
         dtype == DType::F16 ? ": fp16 overflowed, which holds numbers up to 65504; use model.dtype = bf16 or fp32" : "");
}

}  // namespace tandem
