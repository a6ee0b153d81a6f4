#include "kernels/cuda/matrix_products.h"

#include <vector>

#include "kernels/cuda/check.h"
#include "kernels/cuda/scratch.h"
#include "kernels/cuda/stream.h"
#include "tests/support/emulator/memory.h"
#include "tests/support/emulator/streams.h"

namespace tandem::cuda {

namespace {

/// The operand's numbers, row by row; whatever is wrong with its memory in `wrong`.
std::vector<float> numbers(const Operand& operand, std::string& wrong) {
    const Tensor& x = operand.x;
    std::vector<float> out(static_cast<std::size_t>(x.elements()));
    const std::int64_t rows = x.extent(0), columns = x.extent(1);
    for (std::int64_t i = 0; i < rows; ++i) {
        const Tensor row = x.rows(i, i + 1);
        if (wrong = emulator::memory().unreadable(row.raw(), row.bytes()); !wrong.empty()) return out;
        dispatch_float(x.dtype(), [&]<class T>(TypeTag<T>) {
            for (std::int64_t j = 0; j < columns; ++j) {
                const std::int64_t place = operand.transpose == Transpose::Yes ? j * rows + i : i * columns + j;
                out[static_cast<std::size_t>(place)] = static_cast<float>(static_cast<const T*>(row.raw())[j]);
            }
        });
    }
    return out;
}

std::string multiply(const Operand& a, const Operand& b, const Tensor& c, float alpha, Write write, const Tensor& bias) {
    const emulator::Memory::Open open(emulator::memory());
    std::string wrong;
    const std::vector<float> x = numbers(a, wrong);
    if (!wrong.empty()) return "matmul: a is " + wrong;
    const std::vector<float> y = numbers(b, wrong);
    if (!wrong.empty()) return "matmul: b is " + wrong;
    std::vector<float> added(static_cast<std::size_t>(c.extent(1)));
    if (bias && (reinterpret_cast<std::uintptr_t>(bias.raw()) % 16 != 0 || bias.bytes() % 16 != 0))
        return "matmul: a bias that cuBLASLt's kernels cannot read by 16 bytes";
    if (bias) added = numbers({bias}, wrong);
    if (!wrong.empty()) return "matmul: bias is " + wrong;
    const auto m = static_cast<std::size_t>(c.extent(0)), n = static_cast<std::size_t>(c.extent(1)),
               k = static_cast<std::size_t>(a.columns());
    for (std::size_t i = 0; i < m; ++i) {
        std::vector<float> sums(n);
        for (std::size_t l = 0; l < k; ++l)
            for (std::size_t j = 0; j < n; ++j) sums[j] += x[i * k + l] * y[l * n + j];
        const Tensor row = c.rows(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1);
        if (wrong = write == Write::Accumulate ? emulator::memory().unreadable(row.raw(), row.bytes()) : ""; wrong.empty())
            wrong = emulator::memory().written(row.raw(), row.bytes());
        if (!wrong.empty()) return "matmul: c is " + wrong;
        dispatch_float(c.dtype(), [&]<class T>(TypeTag<T>) {
            for (std::size_t j = 0; j < n; ++j) {
                T& out = static_cast<T*>(row.raw())[j];
                const float old = write == Write::Accumulate ? static_cast<float>(out) : 0.0F;
                out = T(alpha * sums[j] + old + added[j]);
            }
        });
    }
    return "";
}

/// An operand or result, without padding.
struct Matrix {
    Matrix() = default;
    explicit Matrix(const Tensor& x, Transpose transpose_ = Transpose::No)
        : data(x.raw()),
          rows(x.extent(0)),
          columns(x.extent(1)),
          stride(x.row_stride()),
          dtype(static_cast<std::int64_t>(x.dtype())),
          transpose(static_cast<std::int64_t>(transpose_)) {}
    [[nodiscard]] Tensor tensor() const { return {data, static_cast<DType>(dtype), {rows, columns}, stride}; }
    [[nodiscard]] Operand operand() const { return {tensor(), static_cast<Transpose>(transpose)}; }

    void* data = nullptr;
    std::int64_t rows = 0, columns = 0, stride = 0, dtype = 0, transpose = 0;
};

struct Multiplication {
    Matrix a, b, c, bias;  ///< the bias is of one row, or nowhere
    double alpha;
    std::int64_t write;
};
static_assert(sizeof(Multiplication) == 26 * 8);

Status enqueue_product(const void* bytes, NativeStream stream) {
    const Multiplication x = *static_cast<const Multiplication*>(bytes);
    stream->push([x] {
        return multiply(x.a.operand(), x.b.operand(), x.c.tensor(), static_cast<float>(x.alpha), static_cast<Write>(x.write),
                        x.bias.data == nullptr ? Tensor() : x.bias.tensor());
    });
    return {};
}

/// Plain loops: what a product is, not how a GPU does it.
class EmulatedProducts final : public MatrixProducts {
public:
    void run(Context& ctx, const Operand& a, const Operand& b, const Tensor& c, double alpha, Write write, const Tensor& bias) override {
        const ArenaScope scope(ctx.workspace);
        take_matmul_workspace(ctx);
        const Multiplication what{Matrix(a.x, a.transpose),
                                  Matrix(b.x, b.transpose),
                                  Matrix(c),
                                  bias ? Matrix(bias.reshape({1, bias.extent(0)})) : Matrix(),
                                  alpha,
                                  static_cast<std::int64_t>(write)};
        check(queue(ctx.stream)->enqueue({"matmul", enqueue_product, std::as_bytes(std::span(&what, 1))}), "matmul", {a.x, b.x, c});
    }
};

}  // namespace

std::unique_ptr<MatrixProducts> make_matrix_products() { return std::make_unique<EmulatedProducts>(); }

}  // namespace tandem::cuda
