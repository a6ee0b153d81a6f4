// What bitsandbytes makes of the same numbers, to the bit: golden/quantization.txt, written by make_quant_golden.py.
#include <gtest/gtest.h>

#include <fmt/ranges.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "kernels/ops/optimizer.h"
#include "kernels/ops/quantization.h"
#include "kernels/quant/block_scales.h"
#include "kernels/quant/dynamic_map.h"
#include "kernels/quant/four_bit.h"
#include "tests/kernels/candidates.h"
#include "tests/kernels/device.h"

namespace tandem::test {

namespace {

/// Words after the first of every line that begins with `kind`.
std::vector<std::vector<std::string>> golden(const std::string& kind) {
    std::ifstream file(TANDEM_QUANT_GOLDEN);
    std::vector<std::vector<std::string>> lines;
    for (std::string line; std::getline(file, line);) {
        std::istringstream in(line);
        std::string word;
        in >> word;
        if (word != kind) continue;
        auto& words = lines.emplace_back();
        while (in >> word) words.push_back(word.back() == ':' ? word.substr(0, word.size() - 1) : word);
    }
    EXPECT_FALSE(lines.empty()) << kind;
    return lines;
}

std::uint64_t word(std::uint64_t seed, std::uint64_t i) {
    std::uint64_t z = ((seed << 32U) + i + 1) * 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
}

float bell(std::uint64_t seed, std::uint64_t i) {
    const std::uint64_t w = word(seed, i);
    std::int64_t sum = -131070;
    for (const unsigned shift : {0U, 16U, 32U, 48U}) sum += static_cast<std::int64_t>(w >> shift & 0xffffU);
    return static_cast<float>(sum) * 0x1p-16F;
}

std::vector<float> numbers(const std::string& kind, std::size_t n) {
    std::vector<float> x(n);
    for (std::size_t i = 0; i < n; ++i) {
        x[i] = bell(1, i);
        if (kind == "tiny") x[i] *= 0x1p-100F;
        if (kind == "denormal") x[i] *= 0x1p-128F;
        if (kind == "outliers" && i % 97 == 0) x[i] *= 1024;
        if (kind == "zero" || (kind == "half_zero" && i < n / 2)) x[i] = 0;
        if (kind == "negative") x[i] = -std::fabs(x[i]);
        if (kind == "edges") x[i] = i % 256 == 0 ? 1.0F : static_cast<float>((2.0 * static_cast<double>(i) - 1) / 65535 - 1);
        if (kind == "grid") x[i] = std::trunc(x[i] * 8) / 8;
    }
    return x;
}

std::uint32_t crc_of(const void* data, std::size_t bytes) {
    std::uint32_t crc = 0xffffffffU;
    for (std::size_t i = 0; i < bytes; ++i) {
        crc ^= static_cast<const std::uint8_t*>(data)[i];
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
    }
    return ~crc;
}
std::string hex(std::uint32_t x) { return fmt::format("{:08x}", x); }
std::string hash(std::span<const std::uint8_t> x) { return hex(crc_of(x.data(), x.size())); }
std::string hash(std::span<const float> x) {
    std::vector<float> positive_zeros(x.begin(), x.end());
    for (float& number : positive_zeros) number += 0.0F;
    return hex(crc_of(positive_zeros.data(), x.size_bytes()));
}
std::string hash(Device& device, const Tensor& x) {
    if (x.dtype() == DType::U8) return hash(device.elements<std::uint8_t>(x));
    if (x.dtype() == DType::F32) return hash(device.elements<float>(x));
    auto positive_zeros = device.elements<std::uint16_t>(x);
    for (std::uint16_t& bits : positive_zeros) bits = bits == 0x8000U ? std::uint16_t{0} : bits;
    return hex(crc_of(positive_zeros.data(), x.bytes()));
}

Signedness signedness(const std::string& word) { return word == "1" ? Signedness::Signed : Signedness::Unsigned; }
std::size_t blocks_of(std::size_t n, std::size_t block) { return (n + block - 1) / block; }

}  // namespace

TEST(QuantGolden, DynamicMaps) {
    for (const auto& words : golden("map")) EXPECT_EQ(hash(dynamic_map(signedness(words[0]))), words[1]) << words[0];
}

TEST(QuantGolden, FourBitBlocks) {
    for (const auto& words : golden("blocks")) {
        SCOPED_TRACE(fmt::format("{}", fmt::join(words, " ")));
        const auto type = words[0] == "nf4" ? FourBit::NF4 : FourBit::FP4;
        const std::size_t block = std::stoul(words[1]), n = std::stoul(words[3]);
        std::vector<std::uint8_t> codes(n), packed((n + 1) / 2);
        std::vector<float> absmax(blocks_of(n, block));
        quantize_blocks(type, static_cast<std::int64_t>(block), numbers(words[2], n), codes, absmax);
        EXPECT_EQ(hash(codes), words[4]);
        EXPECT_EQ(hash(absmax), words[5]);
        for (std::size_t i = 0; i < n; ++i) packed[i / 2] = static_cast<std::uint8_t>(packed[i / 2] | codes[i] << (i % 2 == 0 ? 4U : 0U));
        const auto columns = static_cast<std::int64_t>(n);
        FourBitMatrix w{
            .type = type,
            .grid = {.block_size = static_cast<std::int64_t>(block), .rows = 1, .columns = columns, .stride = columns, .whole_rows = 1},
            .codes = {},
            .absmax = {},
            .nested = {},
            .offset = {}};
        for (const Candidate& candidate : reference_and_candidates()) {
            Device device(candidate.make());
            w.codes = device.copy({static_cast<std::int64_t>(packed.size())}, DType::U8, packed);
            w.absmax = device.copy({1, static_cast<std::int64_t>(absmax.size())}, DType::F32, absmax);
            const Tensor fp32 = device.filled({1, columns}, DType::F32, NAN), bf16 = device.filled({1, columns}, DType::BF16, NAN);
            ops::dequantize(device.context(), w, fp32);
            ops::dequantize(device.context(), w, bf16);
            EXPECT_EQ(hash(device, fp32), words[6]) << candidate.name;
            if (words[7] == "-") continue;
            EXPECT_EQ(hash(device, bf16), words[7]) << candidate.name;
        }
    }
}

TEST(QuantGolden, DynamicBlocks) {
    for (const auto& words : golden("dynamic")) {
        SCOPED_TRACE(fmt::format("{}", fmt::join(words, " ")));
        const std::size_t block = std::stoul(words[1]), n = std::stoul(words[3]);
        std::vector<std::uint8_t> codes(n);
        std::vector<float> absmax(blocks_of(n, block)), back(n);
        quantize_dynamic(signedness(words[0]), static_cast<std::int64_t>(block), numbers(words[2], n), codes, absmax);
        dequantize_dynamic(signedness(words[0]), static_cast<std::int64_t>(block), codes, absmax, back);
        EXPECT_EQ(hash(codes), words[4]);
        EXPECT_EQ(hash(absmax), words[5]);
        EXPECT_EQ(hash(back), words[6]);
    }
}

TEST(QuantGolden, DoubleQuantisation) {
    for (const auto& words : golden("scales")) {
        SCOPED_TRACE(words[0]);
        std::vector<float> absmax(std::stoul(words[0]));
        for (std::size_t i = 0; i < absmax.size(); ++i) absmax[i] = static_cast<float>(word(2, i) & 0xffffffU) * 0x1p-28F + 0x1p-5F;
        const BlockScales scales = quantize_scales(absmax);
        EXPECT_EQ(hex(std::bit_cast<std::uint32_t>(scales.offset)), words[1]);
        EXPECT_EQ(hash(scales.codes), words[2]);
        EXPECT_EQ(hash(scales.nested), words[3]);
        EXPECT_EQ(hash(dequantize_scales(scales)), words[4]);
    }
}

namespace {

float gradient(std::uint64_t step, std::uint64_t i) {
    if (step == 7 || (step % 5 == 0 && i % 3 == 0)) return 0.0F;
    return std::ldexp(bell(100 + step, i), -2 * static_cast<int>(word(200 + step, i) % 8));
}

/// A parameter and its moments on one backend.
class Training {
public:
    Training(const Candidate& candidate, const std::vector<std::string>& words)
        : device(candidate.make()),
          n_(std::stol(words[0])),
          params_{std::stod(words[1]), std::stod(words[2]), std::stod(words[3]), std::stod(words[4]), std::stod(words[5]), 0},
          scale_(device.filled({1}, DType::F64, std::stod(words[6]))),
          grad_(device.filled({n_}, DType::F32, 0)),
          master(device.tensor({n_}, DType::F32, each([](std::uint64_t i) { return bell(3, i) * 0x1p-4F; }))),
          moments{zeros(n_, DType::U8), zeros(n_, DType::U8), zeros((n_ + 255) / 256, DType::F32), zeros((n_ + 255) / 256, DType::F32)} {}
    void step(std::uint64_t t) {
        device.set(grad_, each([t](std::uint64_t i) { return gradient(t, i); }));
        params_.step = static_cast<std::int64_t>(t);
        ops::adamw_8bit(device.context(), params_, scale_, grad_, moments, master);
    }
    Device device;

private:
    Tensor zeros(std::int64_t n, DType type) { return device.filled({n}, type, 0); }
    template <class F>
    [[nodiscard]] std::vector<double> each(F number) const {
        std::vector<double> numbers;
        for (std::int64_t i = 0; i < n_; ++i) numbers.push_back(static_cast<double>(number(static_cast<std::uint64_t>(i))));
        return numbers;
    }
    std::int64_t n_;
    AdamW params_;
    Tensor scale_, grad_;

public:
    Tensor master;
    EightBitMoments moments;
};

constexpr std::uint64_t kSteps = 24;

}  // namespace

TEST(QuantGolden, AdamW8bit) {
    const auto cases = golden("adamw"), steps = golden("step");
    ASSERT_EQ(steps.size(), kSteps * cases.size());
    for (std::size_t c = 0; c < cases.size(); ++c) {
        for (const Candidate& candidate : reference_and_candidates()) {
            Training run(candidate, cases[c]);
            for (std::uint64_t t = 1; t <= kSteps; ++t) {
                const auto& words = steps[c * kSteps + t - 1];
                SCOPED_TRACE(fmt::format("case {} {} step {}", c, candidate.name, words[0]));
                run.step(t);
                EXPECT_EQ(hash(run.device, run.moments.m), words[1]);
                EXPECT_EQ(hash(run.device, run.moments.v), words[2]);
                EXPECT_EQ(hash(run.device, run.moments.m_absmax), words[3]);
                EXPECT_EQ(hash(run.device, run.moments.v_absmax), words[4]);
                EXPECT_EQ(hash(run.device, run.master), words[5]);
            }
        }
    }
}

// The library's square roots may be off by an ulp, and with them an update of about the learning rate, once a step.
TEST(QuantGolden, AdamW8bitWithTheLibrarysSquareRoots) {
    const auto words = golden("library").front();
    for (const auto& adamw : golden("adamw")) {
        if (std::stoul(adamw[0]) != words.size()) continue;
        Training run(reference_and_candidates().front(), adamw);
        for (std::uint64_t t = 1; t <= kSteps; ++t) run.step(t);
        const auto master = run.device.elements<float>(run.master);
        for (std::size_t i = 0; i < words.size(); ++i) {
            const auto theirs = std::bit_cast<float>(static_cast<std::uint32_t>(std::stoul(words[i], nullptr, 16)));
            const float ulp = std::nextafter(std::fabs(theirs), 1.0F) - std::fabs(theirs);
            EXPECT_LE(std::fabs(master[i] - theirs), 2 * ulp + kSteps * 0x1p-22F * std::stof(adamw[1])) << i;
        }
        return;
    }
    FAIL() << "no case of " << words.size();
}

}  // namespace tandem::test
