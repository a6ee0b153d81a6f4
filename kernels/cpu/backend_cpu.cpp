#include "kernels/cpu/backend_cpu.h"

#include <omp.h>

#include <cstring>
#include <fstream>

#include "kernels/base/host_memory.h"
#include "kernels/base/host_stream.h"
#include "kernels/cpu/convert.h"
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

std::size_t row_bytes(const Tensor& x) { return static_cast<std::size_t>(x.row_elements()) * size_of(x.dtype()); }

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

void CpuBackend::copy_from_host(Stream&, const void* source, const Tensor& target) {
    if (target.elements() == 0) return;
    const auto* from = static_cast<const std::byte*>(source);
    const std::size_t bytes = row_bytes(target);
    if (target.contiguous()) return static_cast<void>(std::memcpy(target.raw(), from, target.bytes()));
    for (std::int64_t i = 0; i < target.extent(0); ++i)
        std::memcpy(cpu::element(target, i, 0), from + static_cast<std::size_t>(i) * bytes, bytes);
}

void CpuBackend::copy_to_host(Stream&, const Tensor& source, void* target) {
    if (source.elements() == 0) return;
    auto* to = static_cast<std::byte*>(target);
    const std::size_t bytes = row_bytes(source);
    if (source.contiguous()) return static_cast<void>(std::memcpy(to, source.raw(), source.bytes()));
    for (std::int64_t i = 0; i < source.extent(0); ++i)
        std::memcpy(to + static_cast<std::size_t>(i) * bytes, cpu::element(source, i, 0), bytes);
}

std::unique_ptr<Backend> make_cpu_backend(int threads) { return std::make_unique<CpuBackend>(threads); }

}  // namespace tandem
