// cuBLASLt's matrix product.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "kernels/cuda/matrix_products.h"
#include "kernels/cuda/native/toolkit.h"

namespace tandem::cuda {

/// All that the choice of an algorithm depends on.
struct Product {
    std::int64_t m, n, k;
    std::int64_t a_stride, b_stride, c_stride;            ///< elements from row to row, as stored
    std::uint32_t a_alignment, b_alignment, c_alignment;  ///< bytes: the largest power of two, up to 256, that divides the address
    std::uint32_t bias_alignment;                         ///< likewise; 0 where there is no bias
    DType input, output;
    Transpose a_transpose, b_transpose;

    Product(const Operand& a, const Operand& b, const Tensor& c, const Tensor& bias);
    friend bool operator==(const Product&, const Product&) = default;
};

struct ProductHash {
    std::size_t operator()(const Product& product) const;
};

/// One of cuBLASLt's ways to compute a product.
using Algorithm = cublasLtMatmulAlgo_t;

class LtMatmul final : public MatrixProducts {
public:
    LtMatmul();
    ~LtMatmul() override;
    LtMatmul(const LtMatmul&) = delete;
    LtMatmul& operator=(const LtMatmul&) = delete;

    /// With the algorithm that cuBLASLt thinks fastest, asked for once for each Product: the same for the same operands, so that a
    /// run repeats bit for bit.
    void run(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write, const Tensor& bias) override;
    void run(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write, const Tensor& bias,
             const Algorithm& algorithm);

    /// Up to `count` algorithms, likely fastest first. Throws Run where cuBLASLt has none.
    [[nodiscard]] std::vector<Algorithm> candidates(const Operand& a, const Operand& b, const Tensor& c, const Tensor& bias,
                                                    int count) const;

private:
    cublasLtHandle_t handle_ = nullptr;
    std::unordered_map<Product, Algorithm, ProductHash> chosen_;
};

}  // namespace tandem::cuda
