// The one symbol that libtandem_cuda.so shows.
#include "kernels/base/plugin.h"

#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/device.h"

namespace {

std::unique_ptr<tandem::Backend> make(int device, const tandem::DeviceOptions& options) {
    return std::make_unique<tandem::CudaBackend>(device, options);
}

constexpr tandem::BackendPlugin kPlugin = {TANDEM_PLUGIN_ABI, make, tandem::cuda::examine};

}  // namespace

extern "C" [[gnu::visibility("default")]] const tandem::BackendPlugin* tandem_backend_plugin() { return &kPlugin; }
