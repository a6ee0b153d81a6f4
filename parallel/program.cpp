#include "parallel/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tandem {
namespace {

struct Words {
    std::string_view name, sign;
};

constexpr std::array<Words, kOps> kWords = {{{"receive_forward", "Rf"},
                                             {"forward", "F"},
                                             {"send_forward", "Sf"},
                                             {"recompute", "R"},
                                             {"receive_backward", "Rb"},
                                             {"backward", "B"},
                                             {"backward_input", "I"},
                                             {"backward_weight", "W"},
                                             {"send_backward", "Sb"},
                                             {"reduce", "+"},
                                             {"clip", "clip"},
                                             {"update", "U"},
                                             {"gather", "G"}}};

const Words& words(Op op) { return kWords.at(static_cast<std::size_t>(op)); }

std::string text(const Instruction& i, bool with_chunk, UnitRange whole) {
    if (i.op == Op::Clip) return std::string(words(i.op).sign);
    if (!has_slot(i.op)) return fmt::format("{}{}", words(i.op).sign, i.bucket);
    std::string result = fmt::format("{}{}{}", with_chunk ? std::to_string(i.chunk) : "", words(i.op).sign, i.micro_batch);
    if (i.units.count() > 0 && i.units != whole) result += fmt::format("[{},{})", i.units.first, i.units.last);
    return result;
}

}  // namespace

std::string_view name(Op op) { return words(op).name; }

bool is_send(Op op) { return op == Op::SendForward || op == Op::SendBackward; }
bool is_message(Op op) { return is_send(op) || op == Op::ReceiveForward || op == Op::ReceiveBackward; }
bool has_slot(Op op) { return op <= Op::SendBackward; }
bool writes_weights(Op op) { return op == Op::Backward || op == Op::BackwardWeight; }

InstructionText::InstructionText(const Program& program) {
    for (const auto& i : program) {
        if (i.op != Op::Forward) continue;
        const auto chunk = static_cast<std::size_t>(i.chunk);
        if (units_.size() <= chunk) units_.resize(chunk + 1);
        units_[chunk] = i.units;
    }
}

std::string InstructionText::operator()(const Instruction& i) const {
    const auto chunk = static_cast<std::size_t>(i.chunk);
    return text(i, units_.size() > 1, chunk < units_.size() ? units_[chunk] : UnitRange());
}

std::string to_text(const Instruction& instruction, const Program& of) { return InstructionText(of)(instruction); }

std::string to_text(const Instruction& instruction) { return text(instruction, true, UnitRange()); }

std::string to_text(const Program& program) {
    const InstructionText text_of(program);
    std::string line;
    for (const auto& i : program) {
        if (!line.empty()) line += ' ';
        line += text_of(i);
    }
    return line;
}

std::string to_text(const std::vector<Program>& programs) {
    std::string lines;
    for (const auto& program : programs) lines += to_text(program) + '\n';
    return lines;
}

}  // namespace tandem
