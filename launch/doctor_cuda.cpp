#include "launch/doctor_cuda.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kernels/loader/cuda.h"
#include "parallel/transport_plugin.h"

namespace tandem {

namespace {

using Json = nlohmann::ordered_json;

Json describe(const DeviceFacts& device) {
    return {{"name", device.name},
            {"architecture", device.architecture},
            {"memory_bytes", device.memory},
            {"free_bytes", device.free},
            {"multiprocessors", device.multiprocessors},
            {"compiled", device.compiled},
            {"attention", device.library_attention.empty() ? "own" : device.library_attention},
            {"failure", device.failure}};
}

}  // namespace

Json examine_cuda() {
    const CudaFiles files;
    std::error_code ignored;
    Json facts = {{"status", ""},
                  {"library", files.part.string()},
                  {"built", std::filesystem::exists(files.part, ignored)},
                  {"usable", false},
                  {"built_with", nullptr},
                  {"found", nullptr},
                  {"attention_library", nullptr},
                  {"devices", Json::array()}};
    try {
        const BackendPlugin& plugin = open_cuda(files);
        const PluginFacts found = plugin.examine(Examine::FreeMemory);
        facts["built_with"] = found.built_with;
        facts["found"] = found.found;
        if (!found.attention_library.empty()) facts["attention_library"] = found.attention_library;
        for (const DeviceFacts& device : found.devices) facts["devices"].push_back(describe(device));
        const auto starts = [](const DeviceFacts& device) { return device.failure.empty(); };
        facts["usable"] = found.failure.empty() && std::any_of(found.devices.begin(), found.devices.end(), starts);
        facts["status"] = found.failure.empty() ? fmt::format("{} GPU(s), {}", found.devices.size(), found.found) : found.failure;
    } catch (const Error& error) {
        facts["status"] = error.what();
    }
    return facts;
}

std::string cuda_text(const Json& facts, const std::string& indent) {
    std::string out = facts["status"].get<std::string>();
    if (facts["built"].get<bool>()) {
        const Json& with = facts["built_with"];
        out += fmt::format("\n{}CUDA part: {}{}", indent, facts["library"].get<std::string>(),
                           with.is_string() ? ", built with " + with.get<std::string>() : "");
    }
    int number = 0;
    for (const Json& device : facts["devices"]) {
        out += fmt::format("\n{}GPU {}: {} ({}{}), ", indent, number++, device["name"].get<std::string>(),
                           device["architecture"].get<std::string>(), device["compiled"].get<bool>() ? "" : ", not compiled for");
        const auto failure = device["failure"].get<std::string>();
        if (!failure.empty()) {
            out += "does not start: " + failure;
            continue;
        }
        const auto attention = device["attention"].get<std::string>();
        out += fmt::format("{:.1f} of {:.1f} GiB free, {} multiprocessors, attention by {}", device["free_bytes"].get<double>() / 0x1p30,
                           device["memory_bytes"].get<double>() / 0x1p30, device["multiprocessors"].get<int>(),
                           attention == "own" ? "own kernels" : attention);
    }
    if (const Json& library = facts["attention_library"]; library.is_string())
        out += fmt::format("\n{}cuDNN: {}", indent, library.get<std::string>());
    return out;
}

std::string examine_nccl() {
    const CudaFiles files;
    try {
        (void)open_cuda(files);
    } catch (const Error&) {
        return "not asked for: the CUDA part cannot be used (above)";
    }
    try {
        return transport_plugin(find_entry(files.part, kTransportEntry)).describe();
    } catch (const Error& error) {
        return error.what();
    }
}

}  // namespace tandem
