#include "kernels/cuda/attention_library.h"

namespace tandem::cuda {

void describe_attention(PluginFacts& facts) {
    const FoundAttentionLibrary found = find_attention_library();
    facts.attention_library = found.version.empty() ? found.obstacle : found.version;
    for (DeviceFacts& device : facts.devices)
        if (prefers_attention_library(device.architecture)) device.library_attention = found.version;
}

}  // namespace tandem::cuda
