// Pieces of tensors as fp32. Every op computes in fp32 on such pieces, whatever the type in memory.
#pragma once

#include "kernels/cpu/parallel.h"

namespace tandem::cpu {

/// The one of three things that is for elements of `type`: functions with copies for instruction sets cannot be templates.
template <class T>
T by_type(DType type, T fp32, T bf16, T fp16) {
    switch (type) {
        case DType::F32: return fp32;
        case DType::BF16: return bf16;
        case DType::F16: return fp16;
        default: fail(Failure::Run, "the cpu backend computes in fp32, bf16 and fp16, not in {}", name(type));
    }
}

/// x (fp32, bf16 or fp16) to fp32.
void widen(DType type, const void* x, float* y, std::int64_t n);
/// fp32 to y (fp32, bf16 or fp16).
void narrow(DType type, const float* x, void* y, std::int64_t n);

/// Throws unless the op's floating-point operands are of types that this backend computes with.
void require_computable(const Tensor& x);

template <class T = std::byte>
T* element(const Tensor& x, std::int64_t row, std::int64_t column) {
    auto* base = static_cast<std::byte*>(x.raw());
    return reinterpret_cast<T*>(base + static_cast<std::size_t>(row * x.row_stride() + column) * size_of(x.dtype()));
}

/// The elements of a piece as fp32: in place for fp32, else in a buffer.
class Input {
public:
    Input(const Tensor& x, const Piece& piece) : data_(element<float>(x, piece.row, piece.column)) {
        if (x.dtype() == DType::F32) return;
        widen(x.dtype(), data_, buffer_, piece.count);
        data_ = buffer_;
    }
    Input(const Input&) = delete;
    Input& operator=(const Input&) = delete;
    operator const float*() const { return data_; }  // NOLINT: stands for the pointer

private:
    const float* data_;
    alignas(64) float buffer_[kPiece];
};

/// Where to write a piece as fp32; store() puts it where it belongs.
class Output {
public:
    Output(const Tensor& y, const Piece& piece) : type_(y.dtype()), count_(piece.count), target_(element(y, piece.row, piece.column)) {}
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;
    operator float*() { return type_ == DType::F32 ? reinterpret_cast<float*>(target_) : buffer_; }  // NOLINT
    void store() const {
        if (type_ != DType::F32) narrow(type_, buffer_, target_, count_);
    }

private:
    DType type_;
    std::int64_t count_;
    std::byte* target_;
    alignas(64) float buffer_[kPiece];
};

}  // namespace tandem::cpu
