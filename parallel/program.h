// A step as a list of instructions for each rank. Schedules emit the computing ones (schedules.h), passes add the rest
// (lowering.h); the same list is executed (executor.h), checked (check.h), simulated (simulate.h), traced and drawn.
//
// A model is a row of units: 0 the embedding, 1 + l layer l, layers + 1 the final norm and the head. Units are cut into
// stages x chunks contiguous parts; part s lies on pipeline rank s % stages as its chunk s / stages, as in Megatron-LM's
// interleaved schedule (Narayanan et al., arXiv 2104.04473).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tandem {

enum class Op : std::uint8_t {
    ReceiveForward,   ///< the part's input, from the part before
    Forward,          ///< of all units of the chunk, from the lowest
    SendForward,      ///< the part's output, to the part after
    Recompute,        ///< units' activations again, from their kept inputs, from the lowest
    ReceiveBackward,  ///< gradient of the part's output, from the part after
    Backward,         ///< BackwardInput and BackwardWeight, unit by unit, from the highest
    BackwardInput,    ///< gradient of the units' input, from the highest; what BackwardWeight needs is kept
    BackwardWeight,   ///< gradients of the units' weights, from the lowest
    SendBackward,     ///< gradient of the part's input, to the part before
    Reduce,           ///< a bucket's gradients are complete (of this micro-batch, or of the step): add them up over the data ranks
    Clip,             ///< sums over replicas, the norm of all gradients, whether they are finite
    Update,           ///< the optimizer on the owned shard of a bucket
    Gather,           ///< a bucket's compute copies on all data ranks
};
inline constexpr int kOps = 13;
[[nodiscard]] std::string_view name(Op op);  ///< "forward", ...: for traces and messages

/// Units [first, last).
struct UnitRange {
    int first = 0, last = 0;
    [[nodiscard]] int count() const { return last - first; }
    friend bool operator==(const UnitRange&, const UnitRange&) = default;
};

struct Instruction {
    Op op = Op::Forward;
    int chunk = 0;        ///< of this rank
    int micro_batch = 0;  ///< of this data rank, from 0
    int slot = 0;         ///< of this chunk, where the micro-batch's activations are
    UnitRange units = {};
    int peer = -1;    ///< pipeline rank, of sends and receives
    int bucket = -1;  ///< of Reduce, Update and Gather
    friend bool operator==(const Instruction&, const Instruction&) = default;
};

/// What one rank does in a step, in this order.
using Program = std::vector<Instruction>;

/// Messages of one direction that a rank may have under way at once: the executor's buffers at least, with which programs are proven to
/// end.
inline constexpr int kOutboxBuffers = 2;

/// "F3", with more than one chunk "1F3"; "R3[4,9)" where a range is not the whole chunk; "Sf3", "Rf3", "Sb3", "Rb3" for messages, "B3",
/// "I3", "W3" for backward, "+7" Reduce, "clip", "U7", "G7".
class InstructionText {
public:
    explicit InstructionText(const Program& program);  ///< chunks are read off its Forward instructions
    [[nodiscard]] std::string operator()(const Instruction& instruction) const;

private:
    std::vector<UnitRange> units_;
};
[[nodiscard]] std::string to_text(const Instruction& instruction, const Program& of);
/// Without its program: chunk and range always, where the instruction has them.
[[nodiscard]] std::string to_text(const Instruction& instruction);
/// "F0 Sf0 Rb0 B0 clip".
[[nodiscard]] std::string to_text(const Program& program);
/// One line a rank.
[[nodiscard]] std::string to_text(const std::vector<Program>& programs);

[[nodiscard]] bool is_message(Op op);      ///< sends and receives
[[nodiscard]] bool is_send(Op op);         ///< SendForward, SendBackward
[[nodiscard]] bool has_slot(Op op);        ///< works on a micro-batch's activations: all up to SendBackward
[[nodiscard]] bool writes_weights(Op op);  ///< adds to gradients of weights: Backward, BackwardWeight

}  // namespace tandem
