// A shared object with the reference backend in it: what libtandem_cuda.so is to a GPU, without one.
#include <new>

#include "kernels/base/plugin.h"
#include "kernels/ref/backend_ref.h"

namespace {

std::unique_ptr<tandem::Backend> make(int device, const tandem::DeviceOptions& /*options*/) {
    if (device == 1) tandem::fail(tandem::Failure::OutOfMemory, "device {} is full", device);
    if (device == 2) throw std::bad_alloc();
    return std::make_unique<tandem::RefBackend>();
}

tandem::PluginFacts examine(tandem::Examine) { return {"tests", "nothing", "there is no such device", {}}; }

constexpr tandem::BackendPlugin kPlugin = {TANDEM_PLUGIN_ABI, make, examine};

}  // namespace

extern "C" [[gnu::visibility("default")]] const tandem::BackendPlugin* tandem_backend_plugin() { return &kPlugin; }
