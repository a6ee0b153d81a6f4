// Attention's forward pass by a library, where it takes the case. Every plan is proved on known samples before its first use.
#pragma once

#include <map>
#include <set>

#include "kernels/base/context.h"
#include "kernels/cuda/attention_library.h"
#include "kernels/cuda/scratch.h"

namespace tandem::cuda {

class LibraryAttention {
public:
    /// Where the library's results on known samples are not those of own kernels, `required` decides between an error and own kernels.
    LibraryAttention(std::unique_ptr<AttentionLibrary> library, bool required) : library_(std::move(library)), required_(required) {}
    [[nodiscard]] std::string description() const { return library_->description(); }

    /// Does what launch_attention() does, or returns false, having said why once on stderr, where own kernels are to do it (of a library
    /// that is not required, only what is against the library). Throws Run where a required one's results on known samples are not those of
    /// own kernels. `space`: as take_attention_library_space() gives it.
    bool run(const AttentionShape& shape, const AttentionInputs& in, const Rows& o, float* lse, const AttentionLibrarySpace& space,
             StreamHandle stream);

private:
    /// What a call reads and writes.
    struct Operands {
        const PackedSamples& samples;
        const AttentionInputs& in;
        const Rows& o;
        float* lse_by_tokens;  ///< [tokens, heads]: the library's
        float* lse;            ///< [heads, tokens]
    };
    /// With tables and `workspace` bytes for the library from `arena`.
    void compute(const AttentionPlan& plan, std::size_t workspace, const Operands& operands, Arena& arena, StreamHandle stream);
    /// What is known of the plan; prepares and proves what is new.
    const AttentionLibrary::Prepared& known(const AttentionPlan& plan, const Tensor& space, StreamHandle stream);
    [[nodiscard]] AttentionLibrary::Prepared prove(const AttentionPlan& plan, const Tensor& space, StreamHandle stream);
    /// library_attention_check.cpp: how the library's results differ from own kernels' on known samples, of which the longest has `longest`
    /// tokens; empty where they do not.
    [[nodiscard]] std::string difference(const AttentionPlan& plan, std::size_t workspace, int longest, const Tensor& space,
                                         StreamHandle stream);
    bool refuse(const AttentionPlan& plan, const std::string& reason);

    std::unique_ptr<AttentionLibrary> library_;
    bool required_;
    std::map<AttentionPlan, AttentionLibrary::Prepared> known_;
    std::set<std::string> said_;
};

/// Tokens of the longest sample among those on which a plan can be proved in so many bytes, of which the library takes `workspace`.
[[nodiscard]] int longest_known_sample(const AttentionPlan& plan, std::size_t workspace, std::size_t bytes);
/// Bytes of AttentionTables in an arena.
[[nodiscard]] std::size_t table_bytes(const AttentionPlan& plan);

}  // namespace tandem::cuda
