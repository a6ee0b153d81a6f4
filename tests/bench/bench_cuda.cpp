// bench_cuda [DEVICE]: how fast the cuda backend is on this GPU. Products: with the algorithm that the backend uses, against the
// fastest of the 16 that cuBLASLt proposes. Attention: own kernels, and cuDNN's where it is found. Elementwise ops and copies: bytes a
// second. Times are the GPU's own (events), the median of five batches; operands are random numbers, because products of zeros run faster
// than real ones.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/base/philox.h"
#include "kernels/cuda/backend_cuda.h"
#include "kernels/cuda/native/lt_matmul.h"
#include "kernels/cuda/native/toolkit_check.h"
#include "kernels/cuda/stream.h"
#include "kernels/ops/attention.h"
#include "kernels/ops/bias.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"

namespace tandem::bench {

namespace {

using cuda::check;

constexpr int kCandidates = 16;

class Timer {
public:
    explicit Timer(cudaStream_t stream) : stream_(stream) {
        check(cudaEventCreate(&start_), "making an event");
        check(cudaEventCreate(&end_), "making an event");
    }
    ~Timer() {
        cuda::report({static_cast<int>(cudaEventDestroy(start_))}, "cudaEventDestroy");
        cuda::report({static_cast<int>(cudaEventDestroy(end_))}, "cudaEventDestroy");
    }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    /// Seconds of one `run`: median of five batches of about 50 ms, after a warm-up.
    double seconds(const std::function<void()>& run) const {
        run();
        const double once = std::max(batch(run, 2), 1e-7);
        const int repeats = std::clamp(static_cast<int>(0.05 / once), 2, 5000);
        std::array<double, 5> times{};
        for (double& time : times) time = batch(run, repeats);
        std::ranges::sort(times);
        return times[2];
    }

private:
    double batch(const std::function<void()>& run, int repeats) const {
        check(cudaEventRecord(start_, stream_), "recording an event");
        for (int i = 0; i < repeats; ++i) run();
        check(cudaEventRecord(end_, stream_), "recording an event");
        check(cudaEventSynchronize(end_), "waiting for the GPU");
        float milliseconds = 0;
        check(cudaEventElapsedTime(&milliseconds, start_, end_), "reading a time");
        return 1e-3 * static_cast<double>(milliseconds) / repeats;
    }

    cudaStream_t stream_;
    cudaEvent_t start_ = nullptr, end_ = nullptr;
};

class Bench {
public:
    explicit Bench(int device)
        : device_(device),
          backend_(device),
          memory_(backend_, MemoryKind::Activations, std::size_t{3} << 30U),
          workspace_(backend_, MemoryKind::Workspace, std::size_t{64} << 20U),
          stream_(backend_.make_stream()),
          ctx_{backend_, *stream_, workspace_},
          timer_(cuda::native(*stream_)) {
        for (std::size_t i = 0; i < noise_.size(); ++i) noise_[i] = BFloat16(2.0F * uniform01(philox(1, 0, i)[0]) - 1.0F);
    }

    void run() {
        fmt::print("{}\n", backend_.description());
        products();
        bias();
        attention();
        elementwise();
        copies();
        calls();
    }

private:
    /// Uniform in (-1, 1), repeating after an odd number of elements.
    Tensor random(DType type, const Shape& shape) {
        const Tensor x = memory_.allocate("bench operand", type, shape);
        const auto half = type == DType::BF16 ? x : memory_.allocate("bench operand", DType::BF16, shape);
        const Tensor flat = half.reshape({half.elements()});
        const auto piece = static_cast<std::int64_t>(noise_.size());
        for (std::int64_t i = 0; i < flat.elements(); i += piece)
            backend_.copy_from_host(*stream_, noise_.data(), flat.rows(i, std::min(i + piece, flat.elements())));
        if (type != DType::BF16) ops::cast(ctx_, half, x);
        return x;
    }

    void product(const char* what, std::int64_t m, std::int64_t n, std::int64_t k, Transpose a_t, Transpose b_t, DType type, DType output) {
        const ArenaScope scope(memory_);
        const Operand a{random(type, a_t == Transpose::Yes ? Shape{k, m} : Shape{m, k}), a_t};
        const Operand b{random(type, b_t == Transpose::Yes ? Shape{n, k} : Shape{k, n}), b_t};
        const Tensor c = memory_.allocate("bench result", output, {m, n});
        const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
        const double used = timer_.seconds([&] { ops::matmul(ctx_, a, b, c); });
        double best = 1e30;
        for (const auto& algorithm : lt_.candidates(a, b, c, {}, kCandidates))
            best = std::min(best, timer_.seconds([&] { lt_.run(ctx_, a, b, c, 1.0, Write::Overwrite, {}, algorithm); }));
        fmt::print("{:<26} {:>4} {:>6}{} {:>6} {:>6}{} {:>10.4f} {:>10.1f} {:>10.1f} {:>6.2f}\n", what, name(type), m,
                   a_t == Transpose::Yes ? "t" : " ", n, k, b_t == Transpose::Yes ? "t" : " ", used * 1e3, flops / used / 1e12,
                   flops / best / 1e12, best / used);
    }

    void products() {
        fmt::print("\n{:<26} {:>4} {:>7} {:>6} {:>7} {:>10} {:>10} {:>10} {:>6}\n", "product", "type", "m", "n", "k", "ms", "TFLOP/s",
                   "best of 16", "share");
        const auto no = Transpose::No, yes = Transpose::Yes;
        const auto bf16 = DType::BF16, fp32 = DType::F32;
        product("square", 8192, 8192, 8192, no, no, bf16, bf16);
        product("7B q_proj forward", 4096, 4096, 4096, no, yes, bf16, bf16);
        product("7B up_proj forward", 4096, 14336, 4096, no, yes, bf16, bf16);
        product("7B up_proj dx", 4096, 4096, 14336, no, no, bf16, bf16);
        product("7B up_proj dW", 14336, 4096, 4096, yes, no, bf16, fp32);
        product("LoRA u = x A^T, r = 16", 4096, 16, 4096, no, yes, bf16, bf16);
        product("LoRA y = u B^T, r = 16", 4096, 4096, 16, no, yes, bf16, bf16);
        product("135M gate_proj forward", 4096, 1536, 576, no, yes, bf16, bf16);
        product("one token", 1, 4096, 4096, no, yes, bf16, bf16);
        product("square", 8192, 8192, 8192, no, no, DType::F16, DType::F16);
        product("square", 4096, 4096, 4096, no, no, fp32, fp32);
    }

    /// A product that takes its bias along, and a product and a sum.
    void bias() {
        const ArenaScope scope(memory_);
        const Tensor x = random(DType::BF16, {4096, 3584}), w = random(DType::BF16, {3584, 3584}), b = random(DType::BF16, {3584});
        const Tensor y = memory_.allocate("bench result", DType::BF16, {4096, 3584});
        const double together = timer_.seconds([&] { ops::matmul_bias(ctx_, {x}, transposed(w), b, y); });
        const double apart = timer_.seconds([&] {
            ops::matmul(ctx_, {x}, transposed(w), y);
            ops::bias_add(ctx_, b, y);
        });
        fmt::print("\nQwen2.5-7B q_proj with its bias: {:.4f} ms in one, {:.4f} ms in two\n", together * 1e3, apart * 1e3);
    }

    /// The backend whose attention is cuDNN's, or null, having said why.
    std::unique_ptr<CudaBackend> with_cudnn() const {
        try {
            return std::make_unique<CudaBackend>(device_, DeviceOptions{.attention = AttentionKernels::Cudnn});
        } catch (const Error& error) {
            fmt::print("\n{}\n", error.what());
            return nullptr;
        }
    }

    /// `count` samples of `length` tokens. TFLOP/s count the pairs of a query and a key that it sees.
    void attend(const char* what, CudaBackend* cudnn, std::int64_t count, std::int64_t length, std::int64_t heads, std::int64_t kv_heads,
                std::int64_t d, std::int64_t window) {
        const ArenaScope scope(memory_);
        std::vector<std::int32_t> host(static_cast<std::size_t>(count) + 1);
        for (std::size_t i = 0; i < host.size(); ++i) host[i] = static_cast<std::int32_t>(static_cast<std::int64_t>(i) * length);
        const Tensor offsets = memory_.allocate("bench offsets", DType::I32, {count + 1});
        backend_.copy_from_host(*stream_, host.data(), offsets);
        const Segments samples{offsets, offsets, length};
        const Shape wide{count * length, heads, d}, narrow{count * length, kv_heads, d};
        const DType type = DType::BF16;
        const Tensor q = random(type, wide), k = random(type, narrow), v = random(type, narrow), d_o = random(type, wide);
        const Tensor o = memory_.allocate("bench result", type, wide), dq = memory_.allocate("bench result", type, wide);
        const Tensor dk = memory_.allocate("bench result", type, narrow), dv = memory_.allocate("bench result", type, narrow);
        const Tensor lse = memory_.allocate("bench result", DType::F32, {heads, count * length});
        const Attention params{1.0 / std::sqrt(static_cast<double>(d)), window};
        const auto forward = [&](CudaBackend& backend) {
            Context ctx{backend, *stream_, workspace_};
            return timer_.seconds([&] { ops::attention(ctx, params, samples, q, k, v, o, lse); });
        };
        const double own = forward(backend_);
        const double back = timer_.seconds([&] { ops::attention_backward(ctx_, params, samples, d_o, q, k, v, o, lse, dq, dk, dv); });
        double other = std::numeric_limits<double>::quiet_NaN();
        try {
            if (cudnn != nullptr) other = forward(*cudnn);
        } catch (const Error& error) {
            fmt::print("{}\n", error.what());
        }
        const auto w = static_cast<double>(window > 0 ? std::min(window, length) : length), n = static_cast<double>(length);
        const double pairs = static_cast<double>(count * heads * d) * (w * (w + 1) / 2 + (n - w) * w);
        fmt::print("{:<34} {:>2} x {:>5} {:>10.4f} {:>10.1f} {:>10.4f} {:>10.1f} {:>10.1f} {:>6.2f}\n", what, count, length, own * 1e3,
                   4 * pairs / own / 1e12, back * 1e3, 10 * pairs / back / 1e12, 4 * pairs / other / 1e12, other / own);
    }

    void attention() {
        const auto cudnn = with_cudnn();
        fmt::print("\n{:<42} {:>10} {:>10} {:>10} {:>10} {:>10} {:>6}\n", "attention, bf16", "forward ms", "TFLOP/s", "back ms", "TFLOP/s",
                   "cuDNN's", "share");
        attend("8B: 32 heads over 8, 128 wide", cudnn.get(), 1, 8192, 32, 8, 128, 0);
        attend("8B", cudnn.get(), 4, 2048, 32, 8, 128, 0);
        attend("8B", cudnn.get(), 32, 256, 32, 8, 128, 0);
        attend("8B, window of 1024", cudnn.get(), 1, 8192, 32, 8, 128, 1024);
        attend("7B: 28 heads over 4, 128 wide", cudnn.get(), 4, 2048, 28, 4, 128, 0);
        attend("135M: 9 heads over 3, 64 wide", cudnn.get(), 8, 1024, 9, 3, 64, 0);
    }

    void rate(const char* what, double bytes, const std::function<void()>& run) {
        const double seconds = timer_.seconds(run);
        fmt::print("{:<44} {:>10.4f} {:>10.1f}\n", what, seconds * 1e3, bytes / seconds / 1e9);
    }

    void elementwise() {
        const ArenaScope scope(memory_);
        constexpr std::int64_t n = std::int64_t{1} << 27U;
        constexpr auto count = static_cast<double>(n);
        const Tensor x = random(DType::BF16, {n}), y = random(DType::BF16, {n});
        const Tensor wide = memory_.allocate("bench operand", DType::F32, {n});
        fmt::print("\n{:<44} {:>10} {:>10}\n", "elementwise, 2^27 elements", "ms", "GB/s");
        rate("zero, fp32 (4 bytes an element)", 4 * count, [&] { ops::zero(ctx_, wide); });
        rate("cast, bf16 to bf16: a copy (4)", 4 * count, [&] { ops::cast(ctx_, x, y); });
        rate("cast, bf16 to fp32 (6)", 6 * count, [&] { ops::cast(ctx_, x, wide); });
        rate("cast, fp32 to bf16 (6)", 6 * count, [&] { ops::cast(ctx_, wide, y); });
        rate("add, bf16 (6)", 6 * count, [&] { ops::add(ctx_, x, y, y); });
        rate("axpy, bf16 to fp32 (10)", 10 * count, [&] { ops::axpy(ctx_, 0.5, x, wide); });
    }

    void copies() {
        const ArenaScope scope(memory_);
        constexpr std::int64_t n = std::int64_t{256} << 20U;
        std::vector<std::byte> host(static_cast<std::size_t>(n));
        const Tensor x = memory_.allocate("bench operand", DType::U8, {n});
        fmt::print("\n{:<44} {:>10} {:>10}\n", "copies of 256 MiB, pageable host memory", "ms", "GB/s");
        rate("host to GPU", static_cast<double>(n), [&] { backend_.copy_from_host(*stream_, host.data(), x); });
        rate("GPU to host", static_cast<double>(n), [&] { backend_.copy_to_host(*stream_, x, host.data()); });
    }

    /// What a call costs the host, where the GPU has next to nothing to do.
    void calls() {
        const ArenaScope scope(memory_);
        const Tensor x = random(DType::BF16, {64, 64}), y = random(DType::BF16, {64, 64}), z = random(DType::BF16, {64, 64});
        const auto microseconds = [&](const std::function<void()>& run) {
            for (int i = 0; i < 100; ++i) run();
            stream_->synchronize();
            const auto start = std::chrono::steady_clock::now();
            for (int i = 0; i < 500; ++i) run();
            const double passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
            stream_->synchronize();
            return passed / 500 * 1e6;
        };
        fmt::print("\nhost time of a call: add {:.1f} us, matmul {:.1f} us\n", microseconds([&] { ops::add(ctx_, x, y, z); }),
                   microseconds([&] { ops::matmul(ctx_, x, y, z); }));
    }

    int device_;
    CudaBackend backend_;
    Arena memory_;
    Arena workspace_;
    std::unique_ptr<Stream> stream_;
    Context ctx_;
    Timer timer_;
    cuda::LtMatmul lt_;
    std::vector<BFloat16> noise_ = std::vector<BFloat16>((std::size_t{1} << 22U) - 3);
};

}  // namespace

}  // namespace tandem::bench

int main(int argc, char** argv) {
    try {
        tandem::bench::Bench(argc > 1 ? std::atoi(argv[1]) : 0).run();
    } catch (const std::exception& e) {
        fmt::print(stderr, "bench_cuda: {}\n", e.what());
        return 1;
    }
    return 0;
}
