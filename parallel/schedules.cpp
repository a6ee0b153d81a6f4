#include "parallel/schedules.h"

#include <algorithm>

#include "kernels/base/error.h"

namespace tandem {
namespace {

Instruction compute(Op op, int chunk, int micro_batch) {
    Instruction i;
    i.op = op;
    i.chunk = chunk;
    i.micro_batch = micro_batch;
    return i;
}

Program gpipe(int micro_batches) {
    Program program;
    for (int m = 0; m < micro_batches; ++m) program.push_back(compute(Op::Forward, 0, m));
    for (int m = 0; m < micro_batches; ++m) program.push_back(compute(Op::Backward, 0, m));
    return program;
}

Program one_f_one_b(const PipelineShape& shape, int rank) {
    const int m = shape.micro_batches;
    const int ahead = std::min(shape.stages - 1 - rank, m);
    Program program;
    for (int i = 0; i < ahead; ++i) program.push_back(compute(Op::Forward, 0, i));
    for (int i = 0; i < m; ++i) {
        if (i + ahead < m) program.push_back(compute(Op::Forward, 0, i + ahead));
        program.push_back(compute(Op::Backward, 0, i));
    }
    return program;
}

/// 1F1B whose weight gradients come `rank` micro-batches late: stages - rank micro-batches wait for their backward and `rank` for
/// their weight gradients, so that every rank holds as many as rank 0 does in 1F1B.
Program zb_h1(const PipelineShape& shape, int rank) {
    Program program;
    int weights = 0;
    for (const auto& i : one_f_one_b(shape, rank)) {
        if (i.op == Op::Forward) {
            program.push_back(i);
            continue;
        }
        program.push_back(compute(Op::BackwardInput, 0, i.micro_batch));
        if (i.micro_batch >= rank) program.push_back(compute(Op::BackwardWeight, 0, weights++));
    }
    while (weights < shape.micro_batches) program.push_back(compute(Op::BackwardWeight, 0, weights++));
    return program;
}

/// The k-th forward of every rank: micro-batches go through in groups of `stages`, each group through all chunks.
Instruction interleaved_step(const PipelineShape& shape, Op op, int k) {
    const int group = shape.stages * shape.chunks;
    const int chunk = k / shape.stages % shape.chunks;
    return compute(op, op == Op::Forward ? chunk : shape.chunks - 1 - chunk, k / group * shape.stages + k % shape.stages);
}

/// For as many micro-batches as `stages` divides, without the instructions of those that do not exist: order is kept, so what does not
/// deadlock does not without them either.
Program interleaved(const PipelineShape& shape, int rank) {
    const int rounds = (shape.micro_batches + shape.stages - 1) / shape.stages;
    const int steps = rounds * shape.stages * shape.chunks;
    const int ahead = std::min((shape.chunks - 1) * shape.stages + 2 * (shape.stages - 1 - rank), steps);
    Program program;
    const auto add = [&](Op op, int k) {
        const auto i = interleaved_step(shape, op, k);
        if (i.micro_batch < shape.micro_batches) program.push_back(i);
    };
    for (int k = 0; k < ahead; ++k) add(Op::Forward, k);
    for (int k = 0; k < steps; ++k) {
        if (k + ahead < steps) add(Op::Forward, k + ahead);
        add(Op::Backward, k);
    }
    return program;
}

void check_shape(const PipelineShape& shape) {
    require(shape.stages >= 1 && shape.chunks >= 1 && shape.micro_batches >= 0, "a pipeline of {} stages, {} chunks and {} micro-batches",
            shape.stages, shape.chunks, shape.micro_batches);
    if (shape.chunks > kMaxChunks) fail(Failure::Configuration, "parallel.chunks = {}: at most {}", shape.chunks, kMaxChunks);
    if (shape.stages == 1 && shape.chunks > 1) {
        fail(Failure::Configuration, "parallel.chunks = {} with parallel.pipeline = 1: one stage holds all layers; set parallel.chunks = 1",
             shape.chunks);
    }
}

}  // namespace

std::string_view name(Schedule schedule) {
    switch (schedule) {
        case Schedule::GPipe: return "gpipe";
        case Schedule::OneFOneB: return "1f1b";
        case Schedule::Interleaved: return "interleaved";
        case Schedule::ZbH1: return "zb-h1";
    }
    fail(Failure::Run, "schedule {} has no name", static_cast<int>(schedule));
}

int outbox_buffers(const PipelineShape& shape) {
    return shape.chunks == 1 ? kOutboxBuffers : std::max(kOutboxBuffers, (3 * shape.stages + 3) / 4);
}

std::vector<Program> make_schedule(Schedule schedule, const PipelineShape& shape) {
    check_shape(shape);
    if (schedule != Schedule::Interleaved && shape.chunks > 1) {
        fail(Failure::Configuration,
             "parallel.schedule = {} with parallel.chunks = {}: only interleaved has chunks; set parallel.schedule = interleaved or "
             "parallel.chunks = 1",
             name(schedule), shape.chunks);
    }
    std::vector<Program> programs;
    for (int rank = 0; rank < shape.stages; ++rank) {
        switch (schedule) {
            case Schedule::GPipe: programs.push_back(gpipe(shape.micro_batches)); break;
            case Schedule::OneFOneB: programs.push_back(one_f_one_b(shape, rank)); break;
            // With one chunk the interleaved order would hold twice the activations of 1F1B for the same bubble.
            case Schedule::Interleaved: programs.push_back(shape.chunks == 1 ? one_f_one_b(shape, rank) : interleaved(shape, rank)); break;
            case Schedule::ZbH1: programs.push_back(zb_h1(shape, rank)); break;
        }
    }
    return programs;
}

std::vector<Program> make_forward_schedule(const PipelineShape& shape) {
    check_shape(shape);
    const int rounds = (shape.micro_batches + shape.stages - 1) / shape.stages;
    Program program;
    for (int k = 0; k < rounds * shape.stages * shape.chunks; ++k) {
        const auto i = interleaved_step(shape, Op::Forward, k);
        if (i.micro_batch < shape.micro_batches) program.push_back(i);
    }
    return std::vector<Program>(static_cast<std::size_t>(shape.stages), program);
}

}  // namespace tandem
