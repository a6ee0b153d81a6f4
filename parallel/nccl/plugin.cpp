// The second symbol that libtandem_cuda.so shows, beside its backend.
#include "parallel/transport_plugin.h"

#include "parallel/nccl/make_nccl.h"

namespace {

constexpr tandem::TransportPlugin kPlugin = {TANDEM_TRANSPORT_ABI, tandem::describe_nccl, tandem::make_nccl_communicator,
                                             tandem::nccl_background_error, tandem::abort_nccl};

}  // namespace

extern "C" [[gnu::visibility("default")]] const tandem::TransportPlugin* tandem_transport_plugin() { return &kPlugin; }
