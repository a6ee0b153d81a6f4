#include "tests/kernels/op_case.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/base/philox.h"
#include "kernels/ref/values.h"

namespace tandem::test {

namespace {

constexpr std::size_t kArena = std::size_t{1} << 28U;  // address space only
constexpr std::byte kPattern{0x5A};                    // as bf16, fp32 or fp64: a huge number that a sum would show

DType type_of(Kind kind, DType compute) {
    switch (kind) {
        case Kind::Compute: return compute;
        case Kind::Accumulation: return accumulation_type(compute);
        case Kind::Float64: return DType::F64;
        case Kind::Float32: return DType::F32;
        case Kind::Int32: return DType::I32;
        case Kind::Int64: return DType::I64;
        case Kind::UInt8: return DType::U8;
    }
    return compute;
}

/// f(T*) for every element type.
template <class F>
void with_element(DType dtype, F&& f) {
    if (dtype == DType::I32) f(std::int32_t{});
    else if (dtype == DType::I64) f(std::int64_t{});
    else if (dtype == DType::U8) f(std::uint8_t{});
    else dispatch_float(dtype, [&](auto tag) { f(typename decltype(tag)::type{}); });
}

double random_value(const OpCase& op_case, const OperandSpec& spec, std::int64_t i) {
    const auto words = philox(hash_name(op_case.name), hash_name(spec.name), static_cast<std::uint64_t>(i));
    return spec.fill(i, (std::uint64_t{words[1]} << 32U) | words[0]);
}

/// The flat contents of an operand: values in the rows, the pattern between them.
std::vector<std::byte> contents(const OpCase& op_case, const OperandSpec& spec, DType dtype) {
    const auto n = spec.shape.elements();
    std::vector<double> numbers(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) numbers[static_cast<std::size_t>(i)] = random_value(op_case, spec, i);
    const auto packed = encode(numbers, dtype);
    if (spec.padding == 0) return packed;
    const auto rows = static_cast<std::size_t>(spec.shape[0]);
    const auto row = rows == 0 ? 0 : packed.size() / rows;
    const auto stride = row + static_cast<std::size_t>(spec.padding) * size_of(dtype);
    std::vector<std::byte> padded(rows * stride, kPattern);
    for (std::size_t i = 0; i < rows; ++i) std::memcpy(padded.data() + i * stride, packed.data() + i * row, row);
    return padded;
}

}  // namespace

Fill normal(double standard_deviation, double mean) {
    return [=](std::int64_t, std::uint64_t w) {
        return mean + standard_deviation * standard_normal(static_cast<std::uint32_t>(w), static_cast<std::uint32_t>(w >> 32U));
    };
}
Fill uniform(double low, double high) {
    return [=](std::int64_t, std::uint64_t w) { return low + (high - low) * static_cast<double>(w >> 11U) * 0x1p-53; };
}
Fill below(std::int64_t end) {
    return [=](std::int64_t, std::uint64_t w) { return static_cast<double>(w % static_cast<std::uint64_t>(end)); };
}
Fill values(std::vector<double> v) {
    return [v = std::move(v)](std::int64_t i, std::uint64_t) { return v.at(static_cast<std::size_t>(i)); };
}
Fill constant(double value) {
    return [=](std::int64_t, std::uint64_t) { return value; };
}
Fill poison() { return constant(std::numeric_limits<double>::quiet_NaN()); }

OperandSpec input(std::string name, Shape shape, std::int64_t padding) {
    return {std::move(name), shape, Kind::Compute, normal(), padding};
}
OperandSpec output(std::string name, Shape shape, std::int64_t padding, Kind kind) {
    return {std::move(name), shape, kind, poison(), padding};
}
OperandSpec accumulator(std::string name, Shape shape) { return {std::move(name), shape, Kind::Accumulation, normal(), 0}; }

const std::vector<OpCase>& op_cases() {
    static const std::vector<OpCase> all = [] {
        std::vector<OpCase> cases;
        for (auto* table : {elementwise_cases, matmul_cases, layer_cases, attention_cases, optimizer_cases, quantization_cases})
            for (auto& c : table()) cases.push_back(std::move(c));
        return cases;
    }();
    return all;
}

CaseRun::CaseRun(Backend& backend, const OpCase& op_case, DType compute)
    : op_case_(op_case),
      backend_(backend),
      memory_(backend, MemoryKind::Activations, kArena),
      workspace_(backend, MemoryKind::Workspace, kArena),
      stream_(backend.make_stream()),
      context_{backend, *stream_, workspace_} {
    for (const auto& spec : op_case.operands) {
        const auto dtype = type_of(spec.kind, compute);
        auto initial = contents(op_case, spec, dtype);
        const Tensor flat = memory_.allocate(spec.name, dtype, {static_cast<std::int64_t>(initial.size() / size_of(dtype))});
        const Tensor packed(flat.raw(), dtype, spec.shape);
        const Tensor view = spec.padding == 0 ? packed : Tensor(flat.raw(), dtype, spec.shape, packed.row_elements() + spec.padding);
        storage_.emplace(spec.name, flat);
        operands_.emplace(spec.name, view);
        initial_.emplace(spec.name, std::move(initial));
    }
    reset();
}

void CaseRun::reset() {
    for (const auto& [name, bytes] : initial_) backend_.copy_from_host(*stream_, bytes.data(), storage_.find(name)->second);
    stream_->synchronize();
}

std::vector<double> CaseRun::get(std::string_view name) {
    const Tensor& x = operands_.find(name)->second;
    std::vector<std::byte> packed(x.bytes());
    backend_.copy_to_host(*stream_, x, packed.data());
    stream_->synchronize();
    return decode(packed, x.dtype());
}

void CaseRun::set(std::string_view name, const std::vector<double>& numbers) {
    const Tensor& x = operands_.find(name)->second;
    const auto packed = encode(numbers, x.dtype());
    backend_.copy_from_host(*stream_, packed.data(), x);
    stream_->synchronize();
}

std::vector<std::byte> CaseRun::bytes(std::string_view name) {
    const Tensor& flat = storage_.find(name)->second;
    std::vector<std::byte> result(flat.bytes());
    backend_.copy_to_host(*stream_, flat, result.data());
    stream_->synchronize();
    return result;
}

std::string CaseRun::touched_padding() {
    for (const auto& [name, view] : operands_) {
        if (view.contiguous()) continue;
        const auto all = bytes(name);
        const auto row = static_cast<std::size_t>(view.row_elements()) * size_of(view.dtype());
        const auto stride = static_cast<std::size_t>(view.row_stride()) * size_of(view.dtype());
        for (std::size_t i = 0; i < all.size(); ++i)
            if (i % stride >= row && all[i] != kPattern) return name;
    }
    return "";
}

std::vector<std::byte> encode(const std::vector<double>& numbers, DType dtype) {
    std::vector<std::byte> bytes(numbers.size() * size_of(dtype));
    with_element(dtype, [&]<class T>(T) {
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            T value{};
            if constexpr (std::is_integral_v<T>) value = static_cast<T>(numbers[i]);
            else value = ref::round_to<T>(numbers[i]);
            std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
        }
    });
    return bytes;
}

std::vector<double> decode(const std::vector<std::byte>& bytes, DType dtype) {
    std::vector<double> numbers(bytes.size() / size_of(dtype));
    with_element(dtype, [&]<class T>(T) {
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            T value{};
            std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
            if constexpr (std::is_integral_v<T>) numbers[i] = static_cast<double>(value);
            else numbers[i] = ref::load(value);
        }
    });
    return numbers;
}

}  // namespace tandem::test
