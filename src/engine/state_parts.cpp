#include "src/engine/state_parts.h"

#include <algorithm>
#include <tuple>

#include "kernels/base/error.h"
#include "kernels/ops/types.h"

namespace tandem {
namespace {

constexpr std::int64_t kBlock = EightBitMoments::kBlock;

std::int64_t blocks(std::int64_t elements) { return (elements + kBlock - 1) / kBlock; }

/// Rows of blocks: every row of the tensor begins with one.
bool in_rows(const Parameter& p) { return p.global.dims() == 2 && p.global[1] % kBlock == 0; }

/// Elements of the global tensor before the box, which has whole rows of it.
std::int64_t first_of(const Parameter& p) { return p.box.offset[0] * (p.global.dims() == 2 ? p.global[1] : 1); }

}  // namespace

std::string_view name(StatePart part) {
    switch (part) {
        case StatePart::Master: return "master";
        case StatePart::FirstMoment: return "exp_avg";
        case StatePart::SecondMoment: return "exp_avg_sq";
        case StatePart::FirstCodes: return "exp_avg_8bit";
        case StatePart::SecondCodes: return "exp_avg_sq_8bit";
        case StatePart::FirstAbsmax: return "exp_avg_absmax";
        case StatePart::SecondAbsmax: return "exp_avg_sq_absmax";
    }
    return "?";
}

std::string_view name(OptimizerName optimizer) {
    switch (optimizer) {
        case OptimizerName::AdamW: return "adamw";
        case OptimizerName::AdamW8bit: return "adamw_8bit";
        case OptimizerName::PagedAdamW8bit: return "paged_adamw_8bit";
        case OptimizerName::Sgd: return "sgd";
    }
    return "?";
}

bool has_eight_bit_moments(OptimizerName optimizer, const Parameter& p) {
    return is_eight_bit(optimizer) && p.global.elements() >= kLeastEightBit;
}

std::vector<StatePart> parts_of(OptimizerName optimizer, const Parameter& p) {
    using enum StatePart;
    if (optimizer == OptimizerName::Sgd) return {Master};
    if (has_eight_bit_moments(optimizer, p)) return {Master, FirstCodes, SecondCodes, FirstAbsmax, SecondAbsmax};
    return {Master, FirstMoment, SecondMoment};
}

DType type_of(StatePart part, DType accumulation) {
    if (is_codes(part)) return DType::U8;
    return is_absmax(part) ? DType::F32 : accumulation;
}

Shape shape_of(StatePart part, const Parameter& p) {
    if (!is_absmax(part)) return p.global;
    if (in_rows(p)) return {p.global[0], p.global[1] / kBlock};
    return {blocks(p.global.elements())};
}

Box box_of(StatePart part, const Parameter& p) {
    if (!is_absmax(part)) return p.box;
    require(whole_blocks(p), "parameter {}: the box {} cuts blocks of {}", p.name, p.box.shape.str(), p.global.str());
    if (in_rows(p)) return {{p.box.offset[0], p.box.offset[1] / kBlock}, {p.box.shape[0], p.box.shape[1] / kBlock}};
    return {{blocks(first_of(p))}, {blocks(p.box.shape.elements())}};
}

bool whole_blocks(const Parameter& p) {
    if (p.box.shape.elements() == 0) return true;
    if (in_rows(p)) return p.box.offset[1] % kBlock == 0 && p.box.shape[1] % kBlock == 0;
    const std::int64_t first = first_of(p), count = p.box.shape.elements();
    if (p.global.dims() == 2 && p.box.shape[1] != p.global[1]) return false;
    return first % kBlock == 0 && (count % kBlock == 0 || first + count == p.global.elements());
}

double moment_bytes(OptimizerName optimizer, const Parameter& p, DType accumulation) {
    if (optimizer == OptimizerName::Sgd) return 0;
    if (!has_eight_bit_moments(optimizer, p)) return 2.0 * static_cast<double>(size_of(accumulation));
    if (optimizer == OptimizerName::PagedAdamW8bit) return 0;
    return 2.0 + 2.0 * sizeof(float) / kBlock;
}

std::vector<StateTensor> state_tensors(OptimizerName optimizer, const ParamTable& model, DType accumulation) {
    std::vector<StateTensor> list;
    for (const Parameter& p : model) {
        if (!p.trainable) continue;
        for (const StatePart part : parts_of(optimizer, p)) list.push_back({part, p.name, type_of(part, accumulation), shape_of(part, p)});
    }
    std::ranges::sort(list, {}, [](const StateTensor& t) { return std::tie(t.part, t.parameter); });
    return list;
}

}  // namespace tandem
