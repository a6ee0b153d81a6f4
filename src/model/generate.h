// Text generation: greedy or sampled, token by token with a key/value cache.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "src/model/decoder.h"

namespace tandem {

/// Tokens a prompt is read by at a time: bounds the activations of a long one.
inline constexpr std::size_t kPromptChunk = 512;

struct GenerateSettings {
    std::int64_t max_new_tokens = 256;
    double temperature = 0;  ///< 0 = greedy
    double top_p = 1;        ///< nucleus (Holtzman et al., arXiv 1904.09751): smallest set of tokens with at least this probability
    std::uint64_t seed = 42;
    std::vector<std::int32_t> stop;  ///< ids that end the text; not part of it
};

/// Continuation of `prompt` (at least one id). `on_token` sees every id as it comes and may end the text by returning false.
/// Prompt and continuation together fit the decoder's cache. The same on every rank. Throws Diverged where logits are not finite.
std::vector<std::int32_t> generate(Decoder& decoder, std::span<const std::int32_t> prompt, const GenerateSettings& settings,
                                   const std::function<bool(std::int32_t)>& on_token = {});

/// Throws Diverged unless all logits, computed in `dtype`, are finite.
void require_finite(std::span<const float> logits, DType dtype);

/// Picks the next token from finite logits; `position` numbers the draw.
std::int32_t pick_token(std::span<const float> logits, const GenerateSettings& settings, std::uint64_t position);

}  // namespace tandem
