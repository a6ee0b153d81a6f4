// Small tensors from numbers, for tests that spell out what an op must give.
#pragma once

#include <memory>
#include <vector>

#include "kernels/base/backend.h"
#include "kernels/base/philox.h"
#include "tests/kernels/op_case.h"

namespace tandem::test {

/// A backend with memory: tensors from numbers and numbers from tensors.
class Device {
public:
    explicit Device(std::unique_ptr<Backend> backend = make_ref_backend())
        : backend_(std::move(backend)),
          memory_(*backend_, MemoryKind::Activations, kCapacity),
          workspace_(*backend_, MemoryKind::Workspace, kCapacity),
          stream_(backend_->make_stream()),
          context_{*backend_, *stream_, workspace_} {}

    Context& context() { return context_; }
    Tensor tensor(const Shape& shape, DType dtype, const std::vector<double>& numbers) {
        const Tensor x = memory_.allocate("test tensor", dtype, shape);
        set(x, numbers);
        return x;
    }
    void set(const Tensor& x, const std::vector<double>& numbers) {
        const auto bytes = encode(numbers, x.dtype());
        require(bytes.size() == x.bytes(), "{} numbers for {}", numbers.size(), x.str());
        backend_->copy_from_host(*stream_, bytes.data(), x);
    }
    /// Elements as they are in memory.
    template <class T>
    Tensor copy(const Shape& shape, DType dtype, const std::vector<T>& elements) {
        const Tensor x = memory_.allocate("test tensor", dtype, shape);
        require(elements.size() * sizeof(T) == x.bytes(), "{} elements for {}", elements.size(), x.str());
        backend_->copy_from_host(*stream_, elements.data(), x);
        return x;
    }
    template <class T>
    std::vector<T> elements(const Tensor& x) {
        std::vector<T> elements(static_cast<std::size_t>(x.elements()));
        require(elements.size() * sizeof(T) == x.bytes(), "{} has other elements", x.str());
        backend_->copy_to_host(*stream_, x, elements.data());
        return elements;
    }
    Tensor filled(const Shape& shape, DType dtype, double value) {
        return tensor(shape, dtype, std::vector<double>(static_cast<std::size_t>(shape.elements()), value));
    }
    /// Standard normal, a function of the seed.
    Tensor random(const Shape& shape, DType dtype, std::uint64_t seed) {
        std::vector<double> numbers(static_cast<std::size_t>(shape.elements()));
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            const auto words = philox(seed, 0, i);
            numbers[i] = standard_normal(words[0], words[1]);
        }
        return tensor(shape, dtype, numbers);
    }
    std::vector<double> numbers(const Tensor& x) {
        std::vector<std::byte> bytes(x.bytes());
        backend_->copy_to_host(*stream_, x, bytes.data());
        return decode(bytes, x.dtype());
    }

private:
    static constexpr std::size_t kCapacity = std::size_t{1} << 28U;
    std::unique_ptr<Backend> backend_;
    Arena memory_;
    Arena workspace_;
    std::unique_ptr<Stream> stream_;
    Context context_;
};

}  // namespace tandem::test
