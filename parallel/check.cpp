#include "parallel/check.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "kernels/base/error.h"

namespace tandem {
namespace {

/// What has happened to one micro-batch in one part.
struct Progressed {
    bool received = false, forward = false, sent = false, gradient = false, gradient_sent = false;
    std::set<int> recomputed, input, weight;  ///< units
    int slot = -1;
};

class RuleCheck {
public:
    RuleCheck(const Program& program, const PipelineShape& shape, int rank, const Lowering& lowering)
        : program_(program), shape_(shape), rank_(rank), lowering_(lowering) {
        for (int chunk = 0; chunk < shape.chunks; ++chunk) {
            const auto part = lowering.parts.at(static_cast<std::size_t>(shape.part(rank, chunk)));
            for (int unit = part.first; unit < part.last; ++unit) {
                for (const int bucket : lowering.buckets_of(unit)) ++writers_[bucket];
            }
        }
    }

    void run() {
        for (at_ = 0; at_ < program_.size(); ++at_) step(program_[at_]);
        at_ = program_.size() - 1;
        holds(clipped_, "no Clip");
        for (const auto& [bucket, count] : writers_) holds(gathered_.contains(bucket), "bucket {} is not gathered", bucket);
        for (int chunk = 0; chunk < shape_.chunks; ++chunk) {
            for (int m = 0; m < shape_.micro_batches; ++m) complete(chunk, m);
        }
        slots();
    }

private:
    template <class... Args>
    void holds(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
        if (condition) return;
        const auto what = fmt::format(format, std::forward<Args>(args)...);
        if (program_.empty()) fail(Failure::Run, "rank {}: {}", rank_, what);
        fail(Failure::Run, "rank {}, instruction {} of {} ({}): {}", rank_, at_, program_.size(), to_text(program_[at_], program_), what);
    }

    void step(const Instruction& i) {
        if (has_slot(i.op)) {
            holds(!clipped_, "after Clip");
            holds(i.chunk >= 0 && i.chunk < shape_.chunks && i.micro_batch >= 0 && i.micro_batch < shape_.micro_batches,
                  "there is no such chunk or micro-batch");
            auto& state = seen_[{i.chunk, i.micro_batch}];
            if (state.slot < 0) state.slot = i.slot;
            holds(state.slot == i.slot, "its activations are in slot {}, not {}", state.slot, i.slot);
            compute(i, shape_.part(rank_, i.chunk), state);
        } else if (i.op == Op::Reduce) {
            reduce(i);
        } else {
            update(i);
        }
    }

    void compute(const Instruction& i, int part, Progressed& state) {
        const bool first = part == 0;
        const bool last = part == shape_.parts() - 1;
        switch (i.op) {
            case Op::ReceiveForward:
                holds(!first && !state.received && !state.forward, "received twice, late or by the first part");
                state.received = true;
                return;
            case Op::Forward:
                holds(!state.forward && (first || state.received), "forward twice or before its input is there");
                holds(i.units == lowering_.parts[static_cast<std::size_t>(part)], "not of all units of the part");
                state.forward = true;
                return;
            case Op::SendForward:
                holds(state.forward && !last && !state.sent, "sent twice, by the last part or before it is computed");
                state.sent = true;
                return;
            case Op::ReceiveBackward:
                holds(state.forward && !last && !state.gradient, "received twice, early or by the last part");
                state.gradient = true;
                return;
            case Op::SendBackward:
                holds(!state.gradient_sent && lowering_.sends_gradient(part), "sent twice, or to a part that has no backward");
                holds(static_cast<int>(state.input.size()) == lowering_.backward_units(part).count(), "sent before it is computed");
                state.gradient_sent = true;
                return;
            case Op::Recompute: recompute(i, part, state); return;
            default: backward(i, part, state); return;
        }
    }

    void recompute(const Instruction& i, int part, Progressed& state) {
        const auto range = lowering_.backward_units(part);
        holds(lowering_.recompute && state.forward && i.units.count() > 0, "recomputed unasked or before forward");
        for (int unit = i.units.first; unit < i.units.last; ++unit) {
            holds(unit >= std::max(range.first, 1) && unit < std::min(range.last, lowering_.units() - 1), "unit {} is not recomputed",
                  unit);
            holds(!state.input.contains(unit) && state.recomputed.insert(unit).second, "unit {} is recomputed twice or late", unit);
        }
    }

    void backward(const Instruction& i, int part, Progressed& state) {
        const auto range = lowering_.backward_units(part);
        holds(state.forward && i.units.count() > 0 && (part == shape_.parts() - 1 || state.gradient), "before its gradient is there");
        for (int k = 0; k < i.units.count(); ++k) {
            const int unit = i.op == Op::BackwardWeight ? i.units.first + k : i.units.last - 1 - k;
            holds(unit >= range.first && unit < range.last, "unit {} has no backward here", unit);
            if (i.op != Op::BackwardWeight) {
                holds(unit == range.last - static_cast<int>(state.input.size()) - 1, "unit {} is not next from the top", unit);
                const bool layer = unit > 0 && unit < lowering_.units() - 1;
                holds(!lowering_.recompute || !layer || state.recomputed.contains(unit), "unit {} is not recomputed yet", unit);
                state.input.insert(unit);
            }
            if (!writes_weights(i.op)) continue;
            holds(state.input.contains(unit) && state.weight.insert(unit).second, "unit {}'s weights twice or before its input", unit);
            for (const int bucket : lowering_.buckets_of(unit)) ++written_[bucket];
        }
    }

    void reduce(const Instruction& i) {
        const auto found = writers_.find(i.bucket);
        holds(found != writers_.end(), "bucket {} is not trained here", i.bucket);
        const bool each = lowering_.reduction == ReduceMoment::Each;
        const int want = found->second * (each ? 1 : shape_.micro_batches);
        holds(written_[i.bucket] == want, "{} of {} contributions are there", written_[i.bucket], want);
        written_[i.bucket] = 0;
        holds(!clipped_ && ++reduced_[i.bucket] <= (each ? shape_.micro_batches : 1), "reduced once more, or after Clip");
    }

    void update(const Instruction& i) {
        const int times = lowering_.reduction == ReduceMoment::Each ? shape_.micro_batches : 1;
        if (i.op == Op::Clip) {
            holds(!clipped_, "twice");
            for (const auto& [bucket, count] : writers_) holds(reduced_[bucket] == times, "bucket {} is not reduced yet", bucket);
            clipped_ = true;
        } else if (i.op == Op::Update) {
            holds(clipped_ && writers_.contains(i.bucket) && updated_.insert(i.bucket).second, "twice, before Clip, or not trained here");
        } else {
            holds(updated_.contains(i.bucket) && gathered_.insert(i.bucket).second, "twice or before its update");
        }
    }

    /// At the end.
    void complete(int chunk, int micro_batch) {
        const int part = shape_.part(rank_, chunk);
        const auto& state = seen_[{chunk, micro_batch}];
        holds(state.forward, "micro-batch {} has no forward in chunk {}", micro_batch, chunk);
        holds(state.sent || part == shape_.parts() - 1, "micro-batch {} is not sent on by chunk {}", micro_batch, chunk);
        const auto units = static_cast<std::size_t>(std::max(lowering_.backward_units(part).count(), 0));
        holds(state.input.size() == units && state.weight.size() == units, "micro-batch {} has no whole backward in chunk {}", micro_batch,
              chunk);
        holds(state.gradient_sent == lowering_.sends_gradient(part), "micro-batch {}'s gradient is not sent by chunk {}", micro_batch,
              chunk);
    }

    void slots() {
        std::map<std::pair<int, int>, std::pair<std::size_t, std::size_t>> life;
        for (std::size_t i = 0; i < program_.size(); ++i) {
            if (has_slot(program_[i].op)) life.try_emplace({program_[i].chunk, program_[i].micro_batch}, i, i).first->second.second = i;
        }
        std::map<std::pair<int, int>, int> owner;  // of chunk and slot
        for (at_ = 0; at_ < program_.size(); ++at_) {
            const auto& i = program_[at_];
            if (!has_slot(i.op)) continue;
            const auto [found, fresh] = owner.try_emplace({i.chunk, i.slot}, i.micro_batch);
            holds(fresh || found->second == i.micro_batch, "slot {} holds micro-batch {}", i.slot, found->second);
            if (life[{i.chunk, i.micro_batch}].second == at_) owner.erase({i.chunk, i.slot});
        }
    }

    const Program& program_;
    const PipelineShape& shape_;
    int rank_;
    const Lowering& lowering_;
    std::size_t at_ = 0;
    std::map<std::pair<int, int>, Progressed> seen_;  // of chunk and micro-batch
    std::map<int, int> writers_, written_, reduced_;  // of buckets: units, their contributions since the last Reduce, Reduces
    bool clipped_ = false;
    std::set<int> updated_, gathered_;
};

}  // namespace

void check_rules(const std::vector<Program>& programs, const PipelineShape& shape, const Lowering& lowering) {
    require(programs.size() == static_cast<std::size_t>(shape.stages), "{} programs for {} stages", programs.size(), shape.stages);
    for (int rank = 0; rank < shape.stages; ++rank) RuleCheck(programs[static_cast<std::size_t>(rank)], shape, rank, lowering).run();
}

}  // namespace tandem
