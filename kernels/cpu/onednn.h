// oneDNN's matmul primitive. Everything that differs between oneDNN 2 and 3 is in onednn.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/base/backend.h"

namespace tandem::cpu {

[[nodiscard]] std::string onednn_version();  ///< "2.6.3"
[[nodiscard]] std::string onednn_isa();      ///< what oneDNN may use here, ONEDNN_MAX_CPU_ISA respected: "avx512_core_bf16"
/// Whether bf16 products run at the processor's bf16 rate. Where not, oneDNN refuses them (AVX2) or emulates them slowly.
[[nodiscard]] bool onednn_has_bf16();

/// c = alpha a b (+ c) for one type pair. Primitives are kept, least recently used ones dropped: token counts vary from
/// batch to batch, and creating a primitive costs about a millisecond.
class OneDnnMatmul {
public:
    OneDnnMatmul();
    ~OneDnnMatmul();

    /// a and b both fp32 or both bf16; c fp32 or that type. The primitive's scratchpad comes from ctx.workspace.
    void run(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write);

    /// Takes and gives back what run() takes.
    void rehearse(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write);

    /// The implementation that oneDNN chose for such a product, e.g. "brg:avx512_core_bf16", and its scratchpad in bytes.
    struct Choice {
        std::string implementation;
        std::size_t workspace;
    };
    [[nodiscard]] Choice choice(const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write);

private:
    struct Cache;
    std::unique_ptr<Cache> cache_;
};

}  // namespace tandem::cpu
