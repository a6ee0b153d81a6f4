#include "kernels/cuda/device.h"

#include <fstream>
#include <sstream>

#include "kernels/cuda/attention_library.h"
#include "kernels/cuda/native/toolkit_check.h"

namespace tandem::cuda {

namespace {

/// Number of devices, or the reason why CUDA cannot be used at all.
int count_devices(std::string& failure) {
    int count = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    if (code == cudaSuccess && count > 0) return count;
    cudaGetLastError();
    int driver = 0;
    if (code == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0) {
        failure = fmt::format(
            "NVIDIA's driver is for CUDA {} and this was built with CUDA {}: install a newer driver, or build with an older "
            "toolkit (12.4 or newer)",
            version_text(driver), version_text(CUDART_VERSION));
    } else if (code == cudaErrorSystemNotReady) {
        failure =
            "NVIDIA's driver is here, but the GPUs are not ready: on machines with NVSwitch the service nvidia-fabricmanager must run, in "
            "the driver's version";
    } else if (code == cudaErrorNoDevice || code == cudaSuccess) {
        failure = "NVIDIA's driver is here, but shows this process no GPU: look at nvidia-smi and CUDA_VISIBLE_DEVICES";
    } else {
        failure =
            fmt::format("NVIDIA's driver cannot be used: {}: {}; look at nvidia-smi", cudaGetErrorName(code), cudaGetErrorString(code));
    }
    return 0;
}

int attribute(cudaDeviceAttr which, int device) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, device), fmt::format("describing GPU {}", device));
    return value;
}

/// The driver's own version, "580.95.05", which CUDA does not tell.
std::string driver_version() {
    for (const char* path : {"/sys/module/nvidia/version", "/proc/driver/nvidia/version"}) {
        std::ifstream file(path);
        for (std::string word; file >> word;)
            if (word.find('.') != std::string::npos && word.find_first_not_of("0123456789.") == std::string::npos) return word;
    }
    return "";
}

/// Compiled targets, from the build: "80 86 89 90"; the last one also as code that newer GPUs compile when they load it.
std::vector<int> targets() {
    std::istringstream words(TANDEM_CUDA_TARGETS);
    std::vector<int> list;
    for (int target = 0; words >> target;) list.push_back(target);
    return list;
}

/// Machine code for X.y runs on X.z where z >= y; portable code on everything newer.
bool runs_on(int capability) {
    const auto all = targets();
    for (const int target : all)
        if (target / 10 == capability / 10 && target <= capability) return true;
    return !all.empty() && capability > all.back();
}

}  // namespace

DeviceFacts describe_device(int device) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), fmt::format("describing GPU {}", device));
    DeviceFacts facts;
    facts.name = properties.name;
    facts.id = "GPU-";
    for (const char byte : properties.uuid.bytes) facts.id += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    const int capability = 10 * properties.major + properties.minor;
    facts.architecture = fmt::format("sm_{}", capability);
    facts.memory = properties.totalGlobalMem;
    facts.multiprocessors = attribute(cudaDevAttrMultiProcessorCount, device);
    facts.compiled = runs_on(capability);
    return facts;
}

void select_device(int device) {
    std::string failure;
    const int count = count_devices(failure);
    if (count == 0) fail(Failure::Configuration, "cuda: {}", failure);
    if (device < 0 || device >= count) fail(Failure::Configuration, "cuda: there is no GPU {}: CUDA shows this process {}", device, count);
    const DeviceFacts facts = describe_device(device);
    if (!facts.compiled) {
        fail(Failure::Configuration,
             "cuda: GPU {} is a {} ({}), and this was built for {}: set CMAKE_CUDA_ARCHITECTURES (sm_80 is the oldest "
             "that tandem is written for)",
             device, facts.name, facts.architecture, built_versions());
    }
    check(cudaSetDevice(device), fmt::format("starting GPU {}", device));
}

std::string built_versions() {
    std::string out = fmt::format("CUDA {}, cuBLASLt {}", version_text(CUDART_VERSION), cublaslt_text(CUBLAS_VERSION));
    for (const int target : targets()) out += fmt::format("{} sm_{}", target == targets().front() ? "," : "", target);
    return out;
}

std::string found_versions() {
    int driver = 0;
    check(cudaDriverGetVersion(&driver), "asking for the driver's version");
    const std::string own = driver_version();
    return fmt::format("driver {}{}CUDA {}, cuBLASLt {}", own, own.empty() ? "for " : " for ", version_text(driver),
                       cublaslt_text(cublasLtGetVersion()));
}

namespace {

/// Other cards may be well where this one is not.
void ask_for_free_memory(int device, DeviceFacts& facts) {
    try {
        std::size_t total = 0;
        check(cudaSetDevice(device), fmt::format("starting GPU {}", device));
        check(cudaMemGetInfo(&facts.free, &total), "asking for free memory");
    } catch (const Error& error) {
        facts.failure = error.what();
        cudaGetLastError();  // remembered, and not of the next card's
    }
}

}  // namespace

PluginFacts examine(Examine what) {
    PluginFacts facts;
    facts.built_with = built_versions();
    const int count = count_devices(facts.failure);
    try {
        facts.found = found_versions();
        for (int device = 0; device < count; ++device) {
            DeviceFacts one = describe_device(device);
            if (what == Examine::FreeMemory) ask_for_free_memory(device, one);
            facts.devices.push_back(std::move(one));
        }
        describe_attention(facts, what);
    } catch (const Error& error) {
        facts.failure = error.what();
    }
    return facts;
}

}  // namespace tandem::cuda
