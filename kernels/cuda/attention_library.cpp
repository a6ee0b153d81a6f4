#include "kernels/cuda/attention_library.h"

#include <algorithm>

namespace tandem::cuda {

void describe_attention(PluginFacts& facts, Examine what) {
    const auto prefers = [](const DeviceFacts& device) { return prefers_attention_library(device.architecture); };
    if (what == Examine::Facts || (what == Examine::Attention && std::ranges::none_of(facts.devices, prefers))) return;
    const FoundAttentionLibrary found = find_attention_library();
    facts.attention_library = found.version.empty() ? found.obstacle : found.version;
    for (DeviceFacts& device : facts.devices)
        if (prefers(device)) device.library_attention = found.version;
}

}  // namespace tandem::cuda
