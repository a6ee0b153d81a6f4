#include "kernels/ref/backend_ref.h"

#include <cstring>

#include "kernels/base/host_memory.h"
#include "kernels/base/host_stream.h"

namespace tandem {

std::string RefBackend::description() const { return "reference: sequential loops, sums in double"; }

void* RefBackend::reserve(std::size_t bytes) { return reserve_host_memory(bytes); }
void RefBackend::unreserve(void* base, std::size_t bytes) noexcept { unreserve_host_memory(base, bytes); }
std::unique_ptr<Stream> RefBackend::make_stream() { return std::make_unique<HostStream>(); }
std::unique_ptr<Event> RefBackend::make_event() { return std::make_unique<HostEvent>(); }

void RefBackend::copy_from_host(Stream&, const void* source, const Tensor& target) { copy_to_view(source, target); }
void RefBackend::copy_to_host(Stream&, const Tensor& source, void* target) { copy_from_view(source, target); }

std::unique_ptr<Backend> make_ref_backend() { return std::make_unique<RefBackend>(); }

}  // namespace tandem
