// What tandem says of the cuDNN that the loader finds, and of starting it on a card that is not there.
#include <cstdio>

#include "kernels/base/error.h"
#include "kernels/cuda/attention_library.h"
#include "kernels/cuda/device.h"

namespace tandem::cuda {

DeviceFacts describe_device(int /*device*/) {
    DeviceFacts facts;
    facts.architecture = "sm_90";
    return facts;
}

}  // namespace tandem::cuda

int main() {
    const auto found = tandem::cuda::find_attention_library();
    std::printf("found: %s%s\n", found.version.c_str(), found.obstacle.c_str());
    try {
        static_cast<void>(tandem::cuda::make_attention_library(0));
        std::puts("started");
    } catch (const tandem::Error& error) {
        std::printf("not started: %s\n", error.what());
        return error.failure() == tandem::Failure::Configuration ? 0 : 1;
    }
}
