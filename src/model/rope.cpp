#include "src/model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tandem {
namespace {

constexpr double kTwoPi = 2.0 * std::numbers::pi;

/// Llama 3.1: long wavelengths are divided by the factor, short ones kept, those between blended. In fp32, as transformers.
double llama3(const RopeConfig& rope, double wide) {
    const auto inverse = static_cast<float>(wide), original = static_cast<float>(rope.original_positions);
    const auto factor = static_cast<float>(rope.factor);
    const auto low = static_cast<float>(rope.low_frequency_factor), high = static_cast<float>(rope.high_frequency_factor);
    const float wavelength = (1.0F / inverse) * static_cast<float>(kTwoPi);  // torch divides a number by a tensor this way
    if (wavelength > original / low) return static_cast<double>(inverse / factor);
    if (wavelength < original / high) return wide;
    const float smooth = ((1.0F / wavelength) * original - low) / (high - low);
    return static_cast<double>((1.0F - smooth) * inverse / factor + smooth * inverse);
}

/// YaRN: dimension at which a head turns `rotations` times over the original context.
double correction_dimension(const RopeConfig& rope, double rotations) {
    return static_cast<double>(rope.rotated) * std::log(rope.original_positions / (rotations * kTwoPi)) / (2 * std::log(rope.theta));
}

void yarn(const RopeConfig& rope, std::vector<double>& inverse) {
    double low = correction_dimension(rope, rope.beta_fast);
    double high = correction_dimension(rope, rope.beta_slow);
    if (rope.truncate) {
        low = std::floor(low);
        high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, static_cast<double>(rope.rotated) - 1);
    if (low == high) high += 0.001;
    for (std::size_t j = 0; j < inverse.size(); ++j) {
        const double ramp = std::clamp((static_cast<double>(j) - low) / (high - low), 0.0, 1.0);
        inverse[j] = inverse[j] / rope.factor * ramp + inverse[j] * (1 - ramp);
    }
}

}  // namespace

RopeFrequencies rope_frequencies(const RopeConfig& rope) {
    RopeFrequencies f;
    for (std::int64_t j = 0; j < rope.rotated / 2; ++j) {
        // transformers keeps the frequencies in fp32 whatever the model's type, so they are rounded here as well.
        const auto exponent = static_cast<float>(2 * j) / static_cast<float>(rope.rotated);
        f.inverse.push_back(static_cast<double>(1.0F / std::pow(static_cast<float>(rope.theta), exponent)));
    }
    switch (rope.kind) {
        case RopeKind::Default: break;
        case RopeKind::Linear:
            for (double& x : f.inverse) x /= rope.factor;
            break;
        case RopeKind::Llama3:
            for (double& x : f.inverse) x = llama3(rope, x);
            break;
        case RopeKind::Yarn:
            yarn(rope, f.inverse);
            f.attention_factor =
                rope.attention_factor > 0 ? rope.attention_factor : (rope.factor <= 1 ? 1.0 : 0.1 * std::log(rope.factor) + 1.0);
            break;
    }
    for (double& x : f.inverse) x = static_cast<double>(static_cast<float>(x));
    return f;
}

RopeTables rope_tables(const RopeConfig& rope, std::int64_t positions) {
    const RopeFrequencies f = rope_frequencies(rope);
    RopeTables t;
    t.cos.reserve(static_cast<std::size_t>(positions) * f.inverse.size());
    t.sin.reserve(t.cos.capacity());
    for (std::int64_t p = 0; p < positions; ++p) {
        for (const double inverse : f.inverse) {
            const double angle = static_cast<double>(static_cast<float>(p) * static_cast<float>(inverse));
            t.cos.push_back(std::cos(angle) * f.attention_factor);
            t.sin.push_back(std::sin(angle) * f.attention_factor);
        }
    }
    return t;
}

}  // namespace tandem
