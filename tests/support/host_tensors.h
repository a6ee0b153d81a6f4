// Tensors of safetensors files in double precision, read and written without the program's own code, and their distance.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace tandem::test {

struct HostTensor {
    std::vector<std::int64_t> shape;
    std::vector<double> values;
};

using HostTensors = std::map<std::string, HostTensor>;

/// F64, F32, F16, BF16 and U8 entries of one file. Throws Error{Run} for anything else.
HostTensors read_safetensors(const std::filesystem::path& file);
/// The weights of a model or adapter directory, sharded or not.
HostTensors read_all_safetensors(const std::filesystem::path& directory);
/// As F32.
void write_safetensors(const std::filesystem::path& file, const HostTensors& tensors);

/// Those whose names start with `prefix`, without it.
HostTensors with_prefix(const HostTensors& tensors, const std::string& prefix);
/// a - b of the same names and shapes, times `factor`. Throws Error{Run} where names or shapes differ.
HostTensors difference(const HostTensors& a, const HostTensors& b, double factor = 1.0);

/// Frobenius norm, of one and of all together.
double norm(const HostTensor& tensor);
double norm(const HostTensors& tensors);

/// ||got - want|| / ||want|| over all together.
double relative_distance(const HostTensors& got, const HostTensors& want);
/// The largest of ||got - want|| / ||want|| of one tensor; `name` receives which.
double worst_relative_distance(const HostTensors& got, const HostTensors& want, std::string& name);

}  // namespace tandem::test
