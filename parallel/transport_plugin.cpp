#include "parallel/transport_plugin.h"

namespace tandem {

const TransportPlugin& transport_plugin(void* entry) {
    if (entry == nullptr) fail(Failure::Configuration, "the CUDA part of tandem has no transports ({})", kTransportEntry);
    const TransportPlugin* plugin = reinterpret_cast<TransportEntry>(entry)();
    if (std::string_view(plugin->abi) != TANDEM_TRANSPORT_ABI) {
        fail(Failure::Configuration,
             "the transports of the CUDA part were built as part of another tandem ({}; this program is {}); build both "
             "together: launch/build",
             plugin->abi, TANDEM_TRANSPORT_ABI);
    }
    return *plugin;
}

}  // namespace tandem
