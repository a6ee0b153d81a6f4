// How a message is cut: sender and receiver have to agree.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/base/tensor.h"

namespace tandem {

/// The elements of a contiguous tensor, flat, in parts of at most `bytes` bytes, of one element at least. None of an empty tensor.
[[nodiscard]] inline std::vector<Tensor> chunks(const Tensor& x, std::size_t bytes) {
    std::vector<Tensor> parts;
    const auto elements = static_cast<std::int64_t>(std::max<std::size_t>(bytes / size_of(x.dtype()), 1));
    auto* data = static_cast<std::byte*>(x.raw());
    for (std::int64_t first = 0; first < x.elements(); first += elements) {
        const std::int64_t n = std::min(elements, x.elements() - first);
        parts.emplace_back(data + static_cast<std::size_t>(first) * size_of(x.dtype()), x.dtype(), Shape{n});
    }
    return parts;
}

}  // namespace tandem
