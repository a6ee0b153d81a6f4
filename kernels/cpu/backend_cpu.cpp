#include "kernels/cpu/backend_cpu.h"

#include <omp.h>

#include <fstream>

#include "kernels/base/host_memory.h"
#include "kernels/base/host_stream.h"
#include "kernels/cpu/onednn.h"

namespace tandem {

namespace {

/// "AMD EPYC", from the first "model name" of /proc/cpuinfo; not every architecture has one.
std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        const auto colon = line.find(": ");
        if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
    }
    return "unknown processor";
}

}  // namespace

CpuBackend::CpuBackend(int threads) : threads_(threads) {
    if (threads < 1) fail(Failure::Configuration, "the cpu backend needs at least one thread, not {}", threads);
    omp_set_num_threads(threads);  // oneDNN asks OpenMP how many threads it may use
    onednn_ = std::make_unique<cpu::OneDnnMatmul>();
}

CpuBackend::~CpuBackend() = default;

std::string CpuBackend::description() const {
    return fmt::format("{}, {} threads, oneDNN {} ({}), bf16 products {}", processor_name(), threads_, cpu::onednn_version(),
                       cpu::onednn_isa(), cpu::onednn_has_bf16() ? "native" : "in fp32");
}

void* CpuBackend::reserve(std::size_t bytes) { return reserve_host_memory(bytes); }
void CpuBackend::unreserve(void* base, std::size_t bytes) noexcept { unreserve_host_memory(base, bytes); }
std::unique_ptr<Stream> CpuBackend::make_stream() { return std::make_unique<HostStream>(); }
std::unique_ptr<Event> CpuBackend::make_event() { return std::make_unique<HostEvent>(); }

void CpuBackend::copy_from_host(Stream&, const void* source, const Tensor& target) { copy_to_view(source, target); }
void CpuBackend::copy_to_host(Stream&, const Tensor& source, void* target) { copy_from_view(source, target); }

std::unique_ptr<Backend> make_cpu_backend(int threads) { return std::make_unique<CpuBackend>(threads); }

}  // namespace tandem
