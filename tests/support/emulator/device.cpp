#include "kernels/cuda/device.h"

#include <cstdlib>

#include "kernels/cuda/attention_library.h"
#include "tests/support/emulator/memory.h"

namespace tandem::cuda {

void select_device(int device) {
    if (device != 0) fail(Failure::Configuration, "cuda: there is no GPU {}: the emulator has one", device);
}

DeviceFacts describe_device(int /*device*/) {
    DeviceFacts facts;
    facts.name = "emulated GPU";
    facts.id = "GPU-emulated";  // all ranks of a host share it
    const char* architecture = std::getenv("TANDEM_EMULATED_ARCHITECTURE");
    facts.architecture = architecture != nullptr ? architecture : "sm_80";
    facts.memory = emulator::memory().capacity();
    facts.free = facts.memory - emulator::memory().used();
    facts.multiprocessors = 4;
    facts.compiled = true;
    return facts;
}

std::string built_versions() { return "the emulator"; }
std::string found_versions() { return "no driver: kernels run on the host"; }

PluginFacts examine(Examine what) {
    PluginFacts facts;
    facts.built_with = built_versions(), facts.found = found_versions();
    facts.devices = {describe_device(0)};
    describe_attention(facts, what);
    return facts;
}

}  // namespace tandem::cuda
