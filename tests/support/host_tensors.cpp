#include "tests/support/host_tensors.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/base/dtype.h"
#include "tests/support/program.h"

namespace tandem::test {
namespace {

template <class T>
std::vector<double> widen(const char* bytes, std::size_t count) {
    std::vector<double> values(count);
    for (std::size_t i = 0; i < count; ++i) {
        T value;
        std::memcpy(&value, bytes + i * sizeof(T), sizeof(T));
        if constexpr (std::is_arithmetic_v<T>) values[i] = static_cast<double>(value);
        else values[i] = static_cast<double>(static_cast<float>(value));
    }
    return values;
}

std::vector<double> widen(const std::string& dtype, const char* bytes, std::size_t count) {
    if (dtype == "F64") return widen<double>(bytes, count);
    if (dtype == "F32") return widen<float>(bytes, count);
    if (dtype == "F16") return widen<Float16>(bytes, count);
    if (dtype == "BF16") return widen<BFloat16>(bytes, count);
    if (dtype == "U8") return widen<std::uint8_t>(bytes, count);
    fail(Failure::Run, "element type {} in a test's safetensors file", dtype);
}

std::size_t count_of(const std::vector<std::int64_t>& shape) {
    std::size_t count = 1;
    for (const auto extent : shape) count *= static_cast<std::size_t>(extent);
    return count;
}

const HostTensor& counterpart(const HostTensors& tensors, const std::string& name, const HostTensor& like) {
    const auto found = tensors.find(name);
    require(found != tensors.end(), "no tensor {} to compare with", name);
    require(found->second.shape == like.shape, "tensor {} has another shape", name);
    return found->second;
}

double distance(const HostTensor& a, const HostTensor& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.values.size(); ++i) sum += (a.values[i] - b.values[i]) * (a.values[i] - b.values[i]);
    return std::sqrt(sum);
}

}  // namespace

HostTensors read_safetensors(const std::filesystem::path& file) {
    const auto bytes = read_text(file);
    require(bytes.size() >= 8, "{}: too short", file.string());
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), 8);
    require(header <= bytes.size() - 8, "{}: header of {} bytes", file.string(), header);
    const char* data = bytes.data() + 8 + header;
    const auto entries = nlohmann::json::parse(bytes.substr(8, header));
    HostTensors tensors;
    for (const auto& [name, entry] : entries.items()) {
        if (name == "__metadata__") continue;
        HostTensor tensor;
        tensor.shape = entry.at("shape").get<std::vector<std::int64_t>>();
        const auto begin = entry.at("data_offsets").at(0).get<std::uint64_t>(), end = entry.at("data_offsets").at(1).get<std::uint64_t>();
        require(end <= bytes.size() - 8 - header, "{}: {} ends behind the file", file.string(), name);
        tensor.values = widen(entry.at("dtype").get<std::string>(), data + begin, count_of(tensor.shape));
        tensors[name] = std::move(tensor);
    }
    return tensors;
}

HostTensors read_all_safetensors(const std::filesystem::path& directory) {
    HostTensors all;
    for (const auto& entry : std::filesystem::directory_iterator(directory))
        if (entry.path().extension() == ".safetensors" && entry.path().stem().string().find("model") != std::string::npos)
            all.merge(read_safetensors(entry.path()));
    return all;
}

void write_safetensors(const std::filesystem::path& file, const HostTensors& tensors) {
    nlohmann::ordered_json header;
    std::string data;
    for (const auto& [name, tensor] : tensors) {
        const auto begin = data.size();
        for (const auto value : tensor.values) {
            const auto narrow = static_cast<float>(value);
            data.append(reinterpret_cast<const char*>(&narrow), sizeof narrow);
        }
        header[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
    }
    auto text = header.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    const std::uint64_t length = text.size();
    std::ofstream stream(file, std::ios::binary);
    stream.write(reinterpret_cast<const char*>(&length), sizeof length) << text << data;
    require(stream.good(), "{}: cannot be written", file.string());
}

HostTensors with_prefix(const HostTensors& tensors, const std::string& prefix) {
    HostTensors found;
    for (const auto& [name, tensor] : tensors)
        if (name.starts_with(prefix)) found[name.substr(prefix.size())] = tensor;
    return found;
}

HostTensors difference(const HostTensors& a, const HostTensors& b, double factor) {
    require(a.size() == b.size(), "{} tensors against {}", a.size(), b.size());
    HostTensors result;
    for (const auto& [name, x] : a) {
        const auto& y = counterpart(b, name, x);
        HostTensor d{x.shape, x.values};
        for (std::size_t i = 0; i < d.values.size(); ++i) d.values[i] = factor * (x.values[i] - y.values[i]);
        result[name] = std::move(d);
    }
    return result;
}

double norm(const HostTensor& tensor) {
    double sum = 0;
    for (const auto value : tensor.values) sum += value * value;
    return std::sqrt(sum);
}

double norm(const HostTensors& tensors) {
    double sum = 0;
    for (const auto& [name, tensor] : tensors) sum += norm(tensor) * norm(tensor);
    return std::sqrt(sum);
}

double relative_distance(const HostTensors& got, const HostTensors& want) { return norm(difference(got, want)) / norm(want); }

double worst_relative_distance(const HostTensors& got, const HostTensors& want, std::string& name) {
    require(got.size() == want.size(), "{} tensors instead of {}", got.size(), want.size());
    double worst = 0;
    for (const auto& [key, expected] : want) {
        const double relative = distance(counterpart(got, key, expected), expected) / norm(expected);
        if (relative >= worst || std::isnan(relative)) {
            worst = relative;
            name = key;
        }
    }
    return worst;
}

}  // namespace tandem::test
