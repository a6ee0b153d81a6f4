#include "src/model/generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/base/philox.h"
#include "parallel/whereabouts.h"
#include "src/model/not_finite.h"

namespace tandem {

void require_finite(std::span<const float> logits, DType dtype) {
    const bool finite = std::all_of(logits.begin(), logits.end(), [](float z) { return std::isfinite(z); });
    if (!finite) fail_not_finite("the model's logits are", dtype);
}

std::int32_t pick_token(std::span<const float> logits, const GenerateSettings& s, std::uint64_t position) {
    const auto best = std::max_element(logits.begin(), logits.end());
    if (s.temperature <= 0) return static_cast<std::int32_t>(best - logits.begin());
    std::vector<double> weight(logits.size());
    for (std::size_t i = 0; i < weight.size(); ++i)
        weight[i] = std::exp((static_cast<double>(logits[i]) - static_cast<double>(*best)) / s.temperature);
    const double all = std::accumulate(weight.begin(), weight.end(), 0.0);
    std::vector<std::int32_t> order(weight.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto b) { return weight[static_cast<std::size_t>(a)] > weight[static_cast<std::size_t>(b)]; });
    std::size_t kept = 0;
    double mass = 0;
    while (kept < order.size() && (kept == 0 || mass < s.top_p * all)) mass += weight[static_cast<std::size_t>(order[kept++])];
    double draw = static_cast<double>(philox(s.seed, 0, position)[0]) * 0x1p-32 * mass;
    for (std::size_t i = 0; i < kept; ++i) {
        draw -= weight[static_cast<std::size_t>(order[i])];
        if (draw < 0) return order[i];
    }
    return order[kept - 1];
}

std::vector<std::int32_t> generate(Decoder& decoder, std::span<const std::int32_t> prompt, const GenerateSettings& settings,
                                   const std::function<bool(std::int32_t)>& on_token) {
    require(!prompt.empty(), "an empty prompt has no next token");
    const InPhase generating(Phase::Generating);
    std::vector<float> logits;
    for (std::size_t first = 0; first < prompt.size(); first += kPromptChunk) {
        logits = decoder.next(prompt.subspan(first, std::min(kPromptChunk, prompt.size() - first)));
        mark_progress();
    }
    std::vector<std::int32_t> out;
    while (static_cast<std::int64_t>(out.size()) < settings.max_new_tokens) {
        require_finite(logits, decoder.dtype());
        const std::int32_t next = pick_token(logits, settings, out.size());
        if (std::find(settings.stop.begin(), settings.stop.end(), next) != settings.stop.end()) break;
        out.push_back(next);
        if (on_token && !on_token(next)) break;
        if (static_cast<std::int64_t>(out.size()) == settings.max_new_tokens) break;
        logits = decoder.next(std::span(&out.back(), 1));
        mark_progress();
    }
    return out;
}

}  // namespace tandem
