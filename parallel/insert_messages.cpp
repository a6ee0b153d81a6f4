// The pass that adds sends and receives.
#include <map>

#include "parallel/lowering.h"

namespace tandem::passes {
namespace {

bool is_backward(Op op) { return op == Op::Recompute || op == Op::Backward || op == Op::BackwardInput; }

/// Where the gradient of a part's output is first needed and that of its input is there, for one chunk and micro-batch.
struct BackwardPlace {
    std::size_t wait = 0;  ///< the receive comes before this instruction
    std::size_t done = 0;  ///< the send after this one
};

using Places = std::map<std::pair<int, int>, BackwardPlace>;

Places backward_places(const Program& program, const Lowering& lowering) {
    Places places;
    for (std::size_t i = 0; i < program.size(); ++i) {
        if (!is_backward(program[i].op)) continue;
        const auto [place, first] = places.try_emplace({program[i].chunk, program[i].micro_batch}, BackwardPlace{i, i});
        place->second.done = i;
        // Hoisted recomputation is one instruction, the first; what needs the gradient is next.
        if (first && program[i].op == Op::Recompute && lowering.hoisted_units > 0) place->second.wait = i + 1;
    }
    return places;
}

}  // namespace

std::vector<Program> insert_messages(const std::vector<Program>& programs, const PipelineShape& shape, const Lowering& lowering) {
    std::vector<Program> result;
    const int stages = shape.stages;
    for (int rank = 0; rank < stages; ++rank) {
        const auto& program = programs[static_cast<std::size_t>(rank)];
        const Places places = backward_places(program, lowering);
        Program out;
        const auto message = [&out](Op op, const Instruction& of, int peer) {
            Instruction i = of;
            i.op = op;
            i.units = {};
            i.peer = peer;
            out.push_back(i);
        };
        const int before = (rank + stages - 1) % stages;
        const int after = (rank + 1) % stages;
        for (std::size_t index = 0; index < program.size(); ++index) {
            const auto& i = program[index];
            const int part = shape.part(rank, i.chunk);
            const bool last = part == shape.parts() - 1;
            if (i.op == Op::Forward) {
                if (part > 0) message(Op::ReceiveForward, i, before);
                out.push_back(i);
                if (!last) message(Op::SendForward, i, after);
                continue;
            }
            const auto place = places.find({i.chunk, i.micro_batch});
            const bool found = place != places.end();
            if (found && place->second.wait == index && !last) message(Op::ReceiveBackward, i, after);
            out.push_back(i);
            if (found && place->second.done == index && lowering.sends_gradient(part)) message(Op::SendBackward, i, before);
        }
        result.push_back(std::move(out));
    }
    return result;
}

}  // namespace tandem::passes
