// The seam between the program and shared objects with backends: what passes through it, and what is said where one cannot be used.
#include <gtest/gtest.h>

#include <functional>

#include "kernels/loader/cuda.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/matmul.h"
#include "tests/kernels/device.h"

namespace tandem {

namespace {

const std::filesystem::path kPlugins = TANDEM_PLUGINS;
const std::filesystem::path kCudaPart = TANDEM_CUDA_PART;
/// A library that every machine has, in place of the driver's.
constexpr const char* kPresent = "libc.so.6";

Error error_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const Error& error) {
        return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return {Failure::Run, ""};
}

void expect_configuration(const std::function<void()>& f, const std::vector<std::string>& parts) {
    const Error error = error_of(f);
    EXPECT_EQ(error.failure(), Failure::Configuration) << error.what();
    for (const auto& part : parts) EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << part << " in: " << error.what();
}

}  // namespace

TEST(Plugins, ABackendOfASharedObjectComputes) {
    test::Device device(open_plugin(kPlugins / "libref_plugin.so").make(0, {}));
    const Tensor a = device.tensor({2, 2}, DType::F32, {1, 2, 3, 4});
    const Tensor b = device.tensor({2, 2}, DType::F32, {5, 6, 7, 8});
    const Tensor c = device.filled({2, 2}, DType::F32, 0);
    ops::matmul(device.context(), a, b, c);
    EXPECT_EQ(device.numbers(c), (std::vector<double>{19, 22, 43, 50}));
}

TEST(Plugins, ErrorsPassTheBoundary) {
    const BackendPlugin& plugin = open_plugin(kPlugins / "libref_plugin.so");
    const Error full = error_of([&] { plugin.make(1, {}); });
    EXPECT_EQ(full.failure(), Failure::OutOfMemory);
    EXPECT_STREQ(full.what(), "device 1 is full");
    EXPECT_THROW(plugin.make(2, {}), std::bad_alloc);

    // From inside an op, through the virtual call.
    test::Device device(plugin.make(0, {}));
    const Tensor table = device.filled({3, 2}, DType::F32, 1);
    const Tensor ids = device.tensor({1}, DType::I32, {7});
    const Tensor y = device.filled({1, 2}, DType::F32, 0);
    const Error outside = error_of([&] { ops::embedding(device.context(), table, ids, y); });
    EXPECT_EQ(outside.failure(), Failure::Run);
    EXPECT_NE(std::string(outside.what()).find("7, outside [0, 3)"), std::string::npos) << outside.what();
}

TEST(Plugins, SaysWhatItHas) {
    const BackendPlugin& plugin = open_plugin(kPlugins / "libref_plugin.so");
    EXPECT_EQ(plugin.examine(Examine::FreeMemory).failure, "there is no such device");
}

TEST(Plugins, WhatIsNoneIsRefused) {
    expect_configuration([] { static_cast<void>(open_plugin(kPlugins / "libnowhere.so")); }, {"libnowhere.so", "No such file"});
    expect_configuration([] { static_cast<void>(open_plugin(kPlugins / "libno_entry.so")); }, {"libno_entry.so", "tandem_backend_plugin"});
    expect_configuration([] { static_cast<void>(open_plugin(kPlugins / "libother_abi.so")); },
                         {"libother_abi.so", "0.0.1 another compiler", "build both together"});
}

TEST(Cuda, NotBuiltSaysHowToBuildIt) {
    expect_configuration(
        [] {
            static_cast<void>(open_cuda({kPlugins / "libnowhere.so", kPresent}));
        },
        {"libnowhere.so", "not built", "CMAKE_ARGS=-DTANDEM_CUDA=on launch/build"});
}

TEST(Cuda, AMissingDriverIsNamed) {
    expect_configuration(
        [] {
            static_cast<void>(open_cuda({kPlugins / "libref_plugin.so", "libtandem_no_driver.so.1"}));
        },
        {"no NVIDIA driver", "libtandem_no_driver.so.1", "install the driver"});
}

TEST(Cuda, AMissingLibraryIsNamed) {
    expect_configuration(
        [] {
            static_cast<void>(open_cuda({kPlugins / "libneeds_absent.so", kPresent}));
        },
        {"libtandem_absent.so", "LD_LIBRARY_PATH"});
}

TEST(Cuda, AnotherBuildIsRefused) {
    expect_configuration([] { static_cast<void>(open_cuda({kPlugins / "libother_abi.so", kPresent})); }, {"build both together"});
    EXPECT_EQ(make_cuda_backend(0, {}, {kPlugins / "libref_plugin.so", kPresent})->name(), "ref");
}

/// The real one, with or without a GPU: it opens wherever its libraries are, and says itself what it finds.
TEST(Cuda, ThePartItselfOpens) {
    if (!std::filesystem::exists(kCudaPart)) GTEST_SKIP() << "the CUDA part is not built: there is no " << kCudaPart;
    const BackendPlugin& plugin = open_plugin(kCudaPart);
    const PluginFacts facts = plugin.examine(Examine::FreeMemory);
    EXPECT_NE(facts.built_with.find("sm_80"), std::string::npos) << facts.built_with;
    EXPECT_EQ(facts.failure.empty(), !facts.devices.empty()) << facts.failure;
    const auto beyond = static_cast<int>(facts.devices.size());
    expect_configuration([&] { plugin.make(beyond, {}); }, {"cuda: ", facts.devices.empty() ? "NVIDIA's driver" : "there is no GPU"});
}

}  // namespace tandem
