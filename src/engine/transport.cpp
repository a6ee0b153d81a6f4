#include "src/engine/transport.h"

#include "kernels/loader/cuda.h"

namespace tandem {
namespace {

TransportWish wish(Transport configured) {
    switch (configured) {
        case Transport::Nccl: return TransportWish::Nccl;
        case Transport::Staged: return TransportWish::Staged;
        case Transport::Auto: break;
    }
    return TransportWish::Auto;
}

}  // namespace

DeviceTransport make_transport(const RunConfig& config, Device& device, const DevicePlace& place, Communicator& world,
                               const std::string& host) {
    if (place.backend != DeviceBackend::Cuda || world.size() == 1) return {};
    const auto plugin = []() -> const TransportPlugin& { return transport_plugin(find_entry(CudaFiles{}.part, kTransportEntry)); };
    return make_device_communicator(
        {*device.backend, *device.stream, world, wish(config.parallel.transport), host + "\n" + place.gpu.id, plugin});
}

}  // namespace tandem
