// Operand checks of the public ops: every error names the op, the operand and what was found and needed.
#pragma once

#include <string_view>

#include "kernels/base/backend.h"

namespace tandem::ops {

/// The checks of one call of one op. All throw Error{Failure::Run}.
class Check {
public:
    explicit Check(std::string_view op) : op_(op) {}

    /// Present, with `dims` dimensions.
    void dims(std::string_view name, const Tensor& x, int dims) const;
    void shape(std::string_view name, const Tensor& x, const Shape& shape) const;
    void type(std::string_view name, const Tensor& x, DType type) const;
    void floating(std::string_view name, const Tensor& x) const;
    /// In the accumulation type of `of`.
    void accumulation(std::string_view name, const Tensor& x, DType of) const;
    void contiguous(std::string_view name, const Tensor& x) const;
    /// One double on the device: a sum, a norm or a factor.
    void scalar(std::string_view name, const Tensor& x) const;
    /// `x` shares no byte with `y`.
    void apart(std::string_view x_name, const Tensor& x, std::string_view y_name, const Tensor& y) const;
    /// `x` is the very same view as `y`, or shares no byte with it.
    void same_or_apart(std::string_view x_name, const Tensor& x, std::string_view y_name, const Tensor& y) const;
    /// The shape, type and shape-likeness of `x`: what an output that mirrors an input needs.
    void like(std::string_view name, const Tensor& x, const Tensor& model) const;

    /// Anything else: throws "op: message" unless it holds.
    template <class... Args>
    void that(bool holds, fmt::format_string<Args...> format, Args&&... args) const {
        if (!holds) fail(Failure::Run, "{}: {}", op_, fmt::format(format, std::forward<Args>(args)...));
    }

private:
    std::string_view op_;
};

/// Whether two views share bytes. Column blocks of one buffer (equal row strides) are told apart.
[[nodiscard]] bool overlap(const Tensor& a, const Tensor& b);

}  // namespace tandem::ops
