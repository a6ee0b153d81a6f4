#include "kernels/cuda/native/lt_matmul.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "kernels/cuda/native/toolkit_check.h"
#include "kernels/cuda/scratch.h"
#include "kernels/cuda/stream.h"

namespace tandem::cuda {

namespace {

/// Token counts vary from batch to batch; asking again costs some ten microseconds, so forgetting everything now and then is cheap.
constexpr std::size_t kRemembered = 8192;

cudaDataType_t type_of(const Tensor& x) {
    switch (x.dtype()) {
        case DType::F32: return CUDA_R_32F;
        case DType::BF16: return CUDA_R_16BF;
        case DType::F16: return CUDA_R_16F;
        default: fail(Failure::Run, "matmul: the cuda backend multiplies fp32, bf16 and fp16, not {}", x.str());
    }
}

std::uint32_t alignment(const Tensor& x) {
    const auto address = reinterpret_cast<std::uintptr_t>(x.raw());
    return 1U << static_cast<unsigned>(std::min(std::countr_zero(address | 256U), 8));
}

/// Consecutive rows of a matrix of one row are nowhere, yet cuBLASLt checks their distance.
std::int64_t stride(const Tensor& x) { return std::max(x.row_stride(), x.extent(1)); }

cublasOperation_t operation(Transpose transpose) { return transpose == Transpose::Yes ? CUBLAS_OP_T : CUBLAS_OP_N; }

/// What cuBLASLt is told about a product. It thinks in columns: a row-major matrix is to it the transpose, so that
/// c^T = b^T a^T is asked for, with b as the first operand and every matrix as it lies in memory.
struct Problem {
    Problem(const Operand& a, const Operand& b, const Tensor& c, const Tensor& bias) {
        check(cublasLtMatmulDescInit(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F), "matmul", {a.x, b.x, c});
        set(CUBLASLT_MATMUL_DESC_TRANSA, operation(b.transpose), c);
        set(CUBLASLT_MATMUL_DESC_TRANSB, operation(a.transpose), c);
        if (bias) {  // of as many elements as c^T has rows
            set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS, c);
            set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(bias.raw()), c);
        }
        describe(first, b.x);
        describe(second, a.x);
        describe(result, c);
    }

    cublasLtMatmulDescOpaque_t description{};
    cublasLtMatrixLayoutOpaque_t first{}, second{}, result{};

private:
    template <class T>
    void set(cublasLtMatmulDescAttributes_t which, T value, const Tensor& c) {
        check(cublasLtMatmulDescSetAttribute(&description, which, &value, sizeof value), "matmul", {c});
    }
    static void describe(cublasLtMatrixLayoutOpaque_t& layout, const Tensor& x) {
        check(cublasLtMatrixLayoutInit(&layout, type_of(x), static_cast<std::uint64_t>(x.extent(1)),
                                       static_cast<std::uint64_t>(x.extent(0)), stride(x)),
              "matmul", {x});
    }
};

/// What an algorithm may use and rely on.
struct Preference {
    explicit Preference(const Product& product) {
        check(cublasLtMatmulPreferenceInit(&opaque), "matmul");
        set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kMatmulWorkspace});
        set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, product.b_alignment);
        set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, product.a_alignment);
        set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, product.c_alignment);
        set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, product.c_alignment);
        // Where k is split, the parts are added in fp32, not in the result's type.
        set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
            static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    }

    cublasLtMatmulPreferenceOpaque_t opaque{};

private:
    template <class T>
    void set(cublasLtMatmulPreferenceAttributes_t which, T value) {
        check(cublasLtMatmulPreferenceSetAttribute(&opaque, which, &value, sizeof value), "matmul");
    }
};

/// One product as it is enqueued.
struct Multiplication {
    cublasLtMatmulDescOpaque_t description;
    cublasLtMatrixLayoutOpaque_t first, second, result;
    Algorithm algorithm;
    cublasLtHandle_t library;
    const void *a, *b;
    void *c, *workspace;
    float alpha;
    float keep;  ///< of c; with 0, c is not read
};
static_assert(sizeof(Multiplication) == sizeof(cublasLtMatmulDescOpaque_t) + 3 * sizeof(cublasLtMatrixLayoutOpaque_t) + sizeof(Algorithm) +
                                            5 * sizeof(void*) + 2 * sizeof(float),
              "compared by its bytes, so that none may be padding");

Status multiply(const void* bytes, NativeStream stream) {
    // cuBLASLt wants descriptors that it may write to.
    Multiplication x = *static_cast<const Multiplication*>(bytes);
    return status_of(cublasLtMatmul(x.library, &x.description, &x.alpha, x.b, &x.first, x.a, &x.second, &x.keep, x.c, &x.result, x.c,
                                    &x.result, &x.algorithm, x.workspace, kMatmulWorkspace, stream));
}

}  // namespace

Product::Product(const Operand& a, const Operand& b, const Tensor& c, const Tensor& bias)
    : m(c.extent(0)),
      n(c.extent(1)),
      k(a.columns()),
      a_stride(stride(a.x)),
      b_stride(stride(b.x)),
      c_stride(stride(c)),
      a_alignment(alignment(a.x)),
      b_alignment(alignment(b.x)),
      c_alignment(alignment(c)),
      bias_alignment(bias ? alignment(bias) : 0),
      input(a.x.dtype()),
      output(c.dtype()),
      a_transpose(a.transpose),
      b_transpose(b.transpose) {}

std::size_t ProductHash::operator()(const Product& p) const {
    std::uint64_t h = 0xcbf29ce484222325U;
    for (const auto v :
         {p.m, p.n, p.k, p.a_stride, p.b_stride, p.c_stride, std::int64_t{p.a_alignment}, std::int64_t{p.b_alignment},
          std::int64_t{p.c_alignment}, std::int64_t{p.bias_alignment}, static_cast<std::int64_t>(p.input),
          static_cast<std::int64_t>(p.output), static_cast<std::int64_t>(p.a_transpose), static_cast<std::int64_t>(p.b_transpose)})
        h = (h ^ static_cast<std::uint64_t>(v)) * 0x9E3779B97F4A7C15U ^ (h >> 29U);
    return h;
}

LtMatmul::LtMatmul() { check(cublasLtCreate(&handle_), "starting cuBLASLt"); }

LtMatmul::~LtMatmul() { report(status_of(cublasLtDestroy(handle_)), "ending cuBLASLt"); }

std::vector<Algorithm> LtMatmul::candidates(const Operand& a, const Operand& b, const Tensor& c, const Tensor& bias, int count) const {
    Problem problem(a, b, c, bias);
    Preference preference(Product(a, b, c, bias));
    std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<std::size_t>(count));
    int returned = 0;
    check(cublasLtMatmulAlgoGetHeuristic(handle_, &problem.description, &problem.first, &problem.second, &problem.result, &problem.result,
                                         &preference.opaque, count, found.data(), &returned),
          "matmul: choosing an algorithm for a product", {a.x, b.x, c});
    std::vector<Algorithm> usable;
    for (int i = 0; i < returned; ++i) {
        const auto& one = found[static_cast<std::size_t>(i)];
        if (one.state == CUBLAS_STATUS_SUCCESS) usable.push_back(one.algo);
    }
    if (usable.empty()) {
        fail(Failure::Run, "matmul: cuBLASLt {} has no algorithm for {}{} times {}{}{} into {} (rows {}, {} and {} elements apart)",
             cublaslt_text(cublasLtGetVersion()), a.x.str(), a.transpose == Transpose::Yes ? " transposed" : "", b.x.str(),
             b.transpose == Transpose::Yes ? " transposed" : "", bias ? " plus a bias" : "", c.str(), a.x.row_stride(), b.x.row_stride(),
             c.row_stride());
    }
    return usable;
}

void LtMatmul::run(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write, const Tensor& bias) {
    const Product product(a, b, c, bias);
    auto found = chosen_.find(product);
    if (found == chosen_.end()) {
        const Algorithm best = candidates(a, b, c, bias, 1).front();
        if (chosen_.size() >= kRemembered) chosen_.clear();
        found = chosen_.emplace(product, best).first;
    }
    run(ctx, a, b, c, alpha, write, bias, found->second);
}

void LtMatmul::run(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write, const Tensor& bias,
                   const Algorithm& algorithm) {
    Problem problem(a, b, c, bias);
    // Given back when this returns, before the product has run: whatever takes these bytes next runs behind it in the same stream.
    const ArenaScope scope(ctx.workspace);
    const Multiplication what{.description = problem.description,
                              .first = problem.first,
                              .second = problem.second,
                              .result = problem.result,
                              .algorithm = algorithm,
                              .library = handle_,
                              .a = a.x.raw(),
                              .b = b.x.raw(),
                              .c = c.raw(),
                              .workspace = take_matmul_workspace(ctx).raw(),
                              .alpha = static_cast<float>(alpha),
                              .keep = write == Write::Accumulate ? 1.0F : 0.0F};
    check(queue(ctx.stream)->enqueue({"matmul", multiply, std::as_bytes(std::span(&what, 1))}), "matmul", {a.x, b.x, c});
}

std::unique_ptr<MatrixProducts> make_matrix_products() { return std::make_unique<LtMatmul>(); }

}  // namespace tandem::cuda
