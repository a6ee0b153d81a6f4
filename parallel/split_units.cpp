// The pass that says what recomputation and deferred weight gradients do to a part's backward.
#include <algorithm>

#include "parallel/lowering.h"

namespace tandem::passes {
namespace {

/// One part's backward of one micro-batch, as instructions for ranges of units.
class BackwardSplit {
public:
    BackwardSplit(const Lowering& lowering, int part, const Instruction& from, Program& out)
        : lowering_(lowering), from_(from), out_(out), units_(lowering.backward_units(part)) {
        const bool waits = units_.last < lowering.units();
        // Units that can be recomputed: layers.
        const UnitRange layers{std::max(units_.first, 1), std::min(units_.last, lowering.units() - 1)};
        const int hoisted = lowering.recompute && waits ? std::clamp(lowering.hoisted_units, 0, std::max(layers.count(), 0)) : 0;
        hoisted_ = {layers.last - hoisted, layers.last};
        const bool defers = from.op == Op::Backward && lowering.sends_gradient(part) && !lowering.frozen_base;
        deferred_ = {units_.first, units_.first + (defers ? std::min(lowering.deferred_units, units_.count()) : 0)};
    }

    void emit() {
        if (hoisted_.count() > 0) add(Op::Recompute, hoisted_);
        for (int unit = units_.last - 1; unit >= units_.first; --unit) {
            const Op op = unit < deferred_.last ? Op::BackwardInput : from_.op;
            if (recomputed_here(unit)) {
                flush();
                add(Op::Recompute, {unit, unit + 1});
            } else if (pending_.op != op) {
                flush();
            }
            pending_.op = op;
            pending_.units = {unit, pending_.units.count() > 0 ? pending_.units.last : unit + 1};
        }
        flush();
        if (deferred_.count() > 0) add(Op::BackwardWeight, deferred_);
    }

private:
    [[nodiscard]] bool recomputed_here(int unit) const {
        const bool layer = unit > 0 && unit < lowering_.units() - 1;
        return lowering_.recompute && layer && !(unit >= hoisted_.first && unit < hoisted_.last);
    }
    void add(Op op, UnitRange units) {
        Instruction i = from_;
        i.op = op;
        i.units = units;
        out_.push_back(i);
    }
    void flush() {
        if (pending_.units.count() > 0) add(pending_.op, pending_.units);
        pending_.units = {};
    }

    const Lowering& lowering_;
    Instruction from_;
    Program& out_;
    UnitRange units_, hoisted_, deferred_;
    Instruction pending_;
};

}  // namespace

Program split_units(const Program& schedule, const PipelineShape& shape, int rank, const Lowering& lowering) {
    Program out;
    for (auto i : schedule) {
        const int part = shape.part(rank, i.chunk);
        if (i.op == Op::Forward) {
            i.units = lowering.parts.at(static_cast<std::size_t>(part));
            out.push_back(i);
            continue;
        }
        if (lowering.backward_units(part).count() <= 0) continue;
        if (i.op == Op::BackwardWeight) {
            i.units = lowering.backward_units(part);
            if (!lowering.frozen_base) out.push_back(i);
            continue;
        }
        if (lowering.frozen_base) i.op = Op::Backward;
        BackwardSplit(lowering, part, i, out).emit();
    }
    return out;
}

}  // namespace tandem::passes
