// What a run keeps of a trained parameter beside its compute copy, as logical tensors: their names, types and shapes in checkpoints.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "parallel/param_table.h"
#include "src/config/run_config.h"

namespace tandem {

/// In the order, and with the numbers, that checkpoints have.
enum class StatePart : std::uint8_t {
    Master,
    FirstMoment,
    SecondMoment,
    FirstCodes,    ///< of the first moment in eight bits: one code an element
    SecondCodes,   ///< likewise of the second
    FirstAbsmax,   ///< of the first moment in eight bits: one a block
    SecondAbsmax,  ///< likewise of the second
};
inline constexpr std::array kStateParts = {StatePart::Master,      StatePart::FirstMoment, StatePart::SecondMoment, StatePart::FirstCodes,
                                           StatePart::SecondCodes, StatePart::FirstAbsmax, StatePart::SecondAbsmax};
/// "master", "exp_avg", "exp_avg_sq" (torch.optim's names), "exp_avg_8bit", "exp_avg_sq_8bit", "exp_avg_absmax", "exp_avg_sq_absmax".
[[nodiscard]] std::string_view name(StatePart part);
[[nodiscard]] constexpr bool is_absmax(StatePart part) { return part == StatePart::FirstAbsmax || part == StatePart::SecondAbsmax; }
[[nodiscard]] constexpr bool is_codes(StatePart part) { return part == StatePart::FirstCodes || part == StatePart::SecondCodes; }

/// Elements of the smallest parameter that an 8-bit optimizer keeps in eight bits; smaller ones have moments in fp32 (bitsandbytes'
/// min_8bit_size).
inline constexpr std::int64_t kLeastEightBit = 4096;
[[nodiscard]] constexpr bool is_eight_bit(OptimizerName optimizer) {
    return optimizer == OptimizerName::AdamW8bit || optimizer == OptimizerName::PagedAdamW8bit;
}
/// The word for optimizer.name.
[[nodiscard]] std::string_view name(OptimizerName optimizer);
[[nodiscard]] bool has_eight_bit_moments(OptimizerName optimizer, const Parameter& p);
/// What there is of a parameter, in rising order.
[[nodiscard]] std::vector<StatePart> parts_of(OptimizerName optimizer, const Parameter& p);
/// `accumulation`: type of masters and of moments that are not in eight bits.
[[nodiscard]] DType type_of(StatePart part, DType accumulation);
/// Of the logical tensor: the parameter's; of absmax one a block, [rows, columns / 256] where that divides, else [ceil(elements / 256)].
[[nodiscard]] Shape shape_of(StatePart part, const Parameter& p);
/// What this rank holds of it. Of absmax only where whole_blocks(p).
[[nodiscard]] Box box_of(StatePart part, const Parameter& p);

/// Whether this rank's box consists of whole blocks of the row-major global tensor, in their order: rows that begin on a multiple of 256
/// and end on one or with the tensor, or columns that do in every row.
[[nodiscard]] bool whole_blocks(const Parameter& p);

/// Bytes that an optimizer keeps on the device of a parameter's elements, each.
[[nodiscard]] double moment_bytes(OptimizerName optimizer, const Parameter& p, DType accumulation);

/// A logical tensor of the state of a whole model.
struct StateTensor {
    StatePart part;
    std::string parameter;
    DType dtype;
    Shape shape;
};
/// Of every trained parameter of `model`, part by part, names rising.
[[nodiscard]] std::vector<StateTensor> state_tensors(OptimizerName optimizer, const ParamTable& model, DType accumulation);

}  // namespace tandem
