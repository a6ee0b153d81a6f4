// Attention of a library, cuDNN's, beside the own kernels: the forward pass over packed samples, nothing else. Implemented by
// kernels/cuda/native/cudnn/, or by not_built.cpp there, and in the emulator of the tests.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kernels/base/plugin.h"
#include "kernels/cuda/attention_library.cuh"

namespace tandem::cuda {

struct AttentionCall {
    const void *q, *k, *v;
    void* o;
    float* lse;  ///< [tokens, heads], natural logarithms
    AttentionTables tables;
    void* workspace;  ///< of Prepared::workspace bytes, aligned to 256
};

class AttentionLibrary {
public:
    virtual ~AttentionLibrary() = default;
    [[nodiscard]] virtual std::string description() const = 0;  ///< "cuDNN 9.19.0"

    struct Prepared {
        std::size_t workspace = 0;  ///< bytes
        std::string refusal;        ///< why the library does not take such calls; empty where it does
    };
    /// May take seconds.
    [[nodiscard]] virtual Prepared prepare(const AttentionPlan& plan) = 0;
    /// Enqueues a call of a plan that was prepared, on the device's own stream. Throws Run for what the library reports.
    virtual void run(const AttentionPlan& plan, const AttentionCall& call, NativeStream stream) = 0;
};

/// The library as this machine has it, found without a device.
struct FoundAttentionLibrary {
    std::string version;   ///< "cuDNN 9.19.0"; empty where it cannot be used
    std::string obstacle;  ///< why not
};
[[nodiscard]] FoundAttentionLibrary find_attention_library();

/// Whether cards of this architecture ("sm_90") are usually better served by the library. Own kernels use the tensor cores as
/// sm_80 has them (mma.sync); on sm_90 such kernels reach about half of what wgmma does (Shah et al., FlashAttention-3, arXiv 2407.08608).
[[nodiscard]] inline bool prefers_attention_library(std::string_view architecture) { return architecture == "sm_90"; }

/// Says of every card whose attention device.attention = auto means. The library is looked for where a card prefers it, or where free
/// memory is asked for, too.
void describe_attention(PluginFacts& facts, Examine what);

/// For the device that is selected, number `device`. Throws Configuration, saying what to do, where the library is missing, too old, or
/// tandem was built without it.
std::unique_ptr<AttentionLibrary> make_attention_library(int device);

}  // namespace tandem::cuda
