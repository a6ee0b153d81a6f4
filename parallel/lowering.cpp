#include "parallel/lowering.h"

#include <algorithm>
#include <map>
#include <set>

#include "kernels/base/error.h"
#include "parallel/check.h"

namespace tandem {
namespace {

void check_lowering(const PipelineShape& shape, const Lowering& lowering) {
    require(lowering.parts.size() == static_cast<std::size_t>(shape.parts()), "{} parts for {} stages x {} chunks", lowering.parts.size(),
            shape.stages, shape.chunks);
    int next = 0;
    for (const auto& part : lowering.parts) {
        require(part.first == next && part.count() > 0, "parts are not contiguous: [{},{}) where {} comes next", part.first, part.last,
                next);
        next = part.last;
    }
    require(lowering.lowest_trained >= 0 && lowering.hoisted_units >= 0 && lowering.deferred_units >= 0,
            "lowest trained unit {}, {} hoisted and {} deferred units", lowering.lowest_trained, lowering.hoisted_units,
            lowering.deferred_units);
    for (const int bucket : lowering.trained_buckets) {
        require(bucket >= lowering.lowest_trained && bucket < next, "bucket {} is trained, but units [{},{}) are", bucket,
                lowering.lowest_trained, next);
    }
}

/// Trained buckets of which this rank holds the parameters.
std::set<int> buckets_of_rank(const PipelineShape& shape, int rank, const Lowering& lowering) {
    std::set<int> buckets;
    for (int chunk = 0; chunk < shape.chunks; ++chunk) {
        const auto& part = lowering.parts.at(static_cast<std::size_t>(shape.part(rank, chunk)));
        for (int unit = part.first; unit < part.last; ++unit) {
            for (const int bucket : lowering.buckets_of(unit)) buckets.insert(bucket);
        }
    }
    return buckets;
}

}  // namespace

UnitRange Lowering::backward_units(int part) const {
    const auto& units = parts.at(static_cast<std::size_t>(part));
    return {std::max(units.first, lowest_trained), units.last};
}

bool Lowering::sends_gradient(int part) const { return parts.at(static_cast<std::size_t>(part)).first > lowest_trained; }

std::vector<int> Lowering::buckets_of(int unit) const {
    const auto trained = [this](int bucket) { return std::binary_search(trained_buckets.begin(), trained_buckets.end(), bucket); };
    std::vector<int> buckets;
    if (trained(unit)) buckets.push_back(unit);
    if (tied && unit == units() - 1 && unit != 0 && trained(0)) buckets.push_back(0);
    return buckets;
}

namespace passes {

Program append_update(Program program, const PipelineShape& shape, int rank, const Lowering& lowering) {
    const auto add = [&program](Op op, int bucket) {
        Instruction i;
        i.op = op;
        i.bucket = bucket;
        program.push_back(i);
    };
    add(Op::Clip, -1);
    for (const int bucket : buckets_of_rank(shape, rank, lowering)) {
        add(Op::Update, bucket);
        add(Op::Gather, bucket);
    }
    return program;
}

Program assign_slots(Program program) {
    std::map<std::pair<int, int>, std::size_t> last;  // of each chunk and micro-batch
    for (std::size_t i = 0; i < program.size(); ++i) {
        if (has_slot(program[i].op)) last[{program[i].chunk, program[i].micro_batch}] = i;
    }
    std::map<std::pair<int, int>, int> slots;
    std::map<int, std::set<int>> free;
    std::map<int, int> made;
    for (std::size_t i = 0; i < program.size(); ++i) {
        auto& instruction = program[i];
        if (!has_slot(instruction.op)) continue;
        const std::pair key(instruction.chunk, instruction.micro_batch);
        auto& unused = free[instruction.chunk];
        if (!slots.contains(key)) {
            if (unused.empty()) unused.insert(made[instruction.chunk]++);
            slots[key] = *unused.begin();
            unused.erase(unused.begin());
        }
        instruction.slot = slots[key];
        if (last[key] == i) unused.insert(instruction.slot);
    }
    return program;
}

}  // namespace passes

std::vector<int> slot_counts(const Program& program) {
    std::vector<int> counts;
    for (const auto& i : program) {
        if (!has_slot(i.op)) continue;
        const auto chunk = static_cast<std::size_t>(i.chunk);
        if (counts.size() <= chunk) counts.resize(chunk + 1);
        counts[chunk] = std::max(counts[chunk], i.slot + 1);
    }
    return counts;
}

std::vector<Program> make_programs(Schedule schedule, const PipelineShape& shape, const Lowering& lowering) {
    auto programs = make_schedule(schedule, shape);
    check_lowering(shape, lowering);
    require(shape.micro_batches >= 1, "a training step of {} micro-batches", shape.micro_batches);
    const bool defers = !lowering.frozen_base && (schedule == Schedule::ZbH1 || lowering.deferred_units > 0);
    require(lowering.reduction == ReduceMoment::Last || !defers, "{} with {} deferred units keeps weight gradients for later: reduce last",
            name(schedule), lowering.deferred_units);
    for (int rank = 0; rank < shape.stages; ++rank) {
        auto& program = programs[static_cast<std::size_t>(rank)];
        program = passes::split_units(program, shape, rank, lowering);
    }
    programs = passes::insert_messages(programs, shape, lowering);
    for (int rank = 0; rank < shape.stages; ++rank) {
        auto& program = programs[static_cast<std::size_t>(rank)];
        program = passes::insert_reductions(program, shape, rank, lowering);
        program = passes::assign_slots(passes::append_update(std::move(program), shape, rank, lowering));
    }
    check_progress(programs, kOutboxBuffers);
    return programs;
}

std::vector<Program> make_forward_programs(const PipelineShape& shape, const std::vector<UnitRange>& parts) {
    Lowering lowering;
    lowering.parts = parts;
    lowering.lowest_trained = lowering.units();
    check_lowering(shape, lowering);
    auto programs = make_forward_schedule(shape);
    for (int rank = 0; rank < shape.stages; ++rank) {
        auto& program = programs[static_cast<std::size_t>(rank)];
        program = passes::split_units(program, shape, rank, lowering);
    }
    programs = passes::insert_messages(programs, shape, lowering);
    for (auto& program : programs) program = passes::assign_slots(std::move(program));
    check_progress(programs, kOutboxBuffers);
    return programs;
}

}  // namespace tandem
