#include "parallel/executor.h"

#include <algorithm>

#include "kernels/base/error.h"
#include "kernels/ops/elementwise.h"
#include "parallel/schedules.h"
#include "parallel/whereabouts.h"

namespace tandem {
namespace {

/// Micro-batches a tag tells apart. More may be in a step: between two ranks messages of one tag keep their order.
constexpr int kTagMicroBatches = 1024;

/// Of a message to `chunk` of its receiver: 0 to 32767, which every MPI has.
int message_tag(bool forward, int chunk, int micro_batch) {
    static_assert(kTagMicroBatches * kMaxChunks * 2 == 32768);
    return (micro_batch % kTagMicroBatches * kMaxChunks + chunk) * 2 + (forward ? 0 : 1);
}

}  // namespace

std::size_t tail(const Program& program) {
    const auto clip = std::find_if(program.begin(), program.end(), [](const Instruction& i) { return i.op == Op::Clip; });
    return static_cast<std::size_t>(clip - program.begin());
}

Executor::Executor(Communicator& pipeline, const Outbox& outbox) : pipeline_(pipeline) {
    lanes_[0].buffers = outbox.forward;
    lanes_[1].buffers = outbox.backward;
    for (auto& lane : lanes_) {
        require(lane.buffers.size() >= kOutboxBuffers, "an outbox of {} buffers; {} are needed", lane.buffers.size(), kOutboxBuffers);
        lane.transfers.resize(lane.buffers.size());
    }
}

void Executor::run(Context& ctx, const Program& program, std::size_t first, std::size_t last, Stage& stage, InstructionObserver* observer) {
    require(first <= last && last <= program.size(), "instructions [{}, {}) of {}", first, last, program.size());
    for (std::size_t at = first; at < last; ++at) {
        const auto& i = program[at];
        if (i.op == Op::Clip) finish_sends();
        const InInstruction here(i, at, program.size());
        if (observer) observer->begin(i);
        execute(ctx, i, stage);
        if (observer) observer->end(i);
    }
    if (last == program.size() || program[last].op == Op::Clip) finish_sends();
}

void Executor::execute(Context& ctx, const Instruction& i, Stage& stage) {
    switch (i.op) {
        case Op::ReceiveForward: receive(ctx, i, stage.forward_input(i)); return;
        case Op::Forward: stage.forward(i); return;
        case Op::SendForward: send(ctx, i, stage.forward_output(i)); return;
        case Op::Recompute: stage.recompute(i); return;
        case Op::ReceiveBackward: receive(ctx, i, stage.output_gradient(i)); return;
        case Op::Backward: stage.backward(i); return;
        case Op::BackwardInput: stage.backward_input(i); return;
        case Op::BackwardWeight: stage.backward_weight(i); return;
        case Op::SendBackward: send(ctx, i, stage.input_gradient(i)); return;
        case Op::Reduce: stage.reduce(i.bucket); return;
        case Op::Clip: stage.clip(); return;
        case Op::Update: stage.update(i.bucket); return;
        case Op::Gather: stage.gather(i.bucket); return;
    }
    fail(Failure::Run, "instruction {} is not known", static_cast<int>(i.op));
}

void Executor::send(Context& ctx, const Instruction& i, const Tensor& x) {
    if (x.elements() == 0) return;
    const bool forward = i.op == Op::SendForward;
    Lane& lane = lanes_[forward ? 0 : 1];
    auto& under_way = lane.transfers[lane.next];
    const Tensor& buffer = lane.buffers[lane.next];
    lane.next = (lane.next + 1) % lane.buffers.size();
    require(buffer && x.bytes() <= buffer.bytes(), "{}: {} does not fit an outbox buffer of {} bytes", to_text(i), x.str(),
            buffer ? buffer.bytes() : 0);
    if (under_way) under_way->wait();
    const Tensor copy(buffer.raw(), x.dtype(), x.shape());
    ops::cast(ctx, x, copy);
    // The last rank's next part is rank 0's next chunk.
    const bool wraps = forward ? pipeline_.rank() == pipeline_.size() - 1 : pipeline_.rank() == 0;
    const int chunk = i.chunk + (wraps ? (forward ? 1 : -1) : 0);
    under_way = pipeline_.start_send(ctx.stream, copy, i.peer, message_tag(forward, chunk, i.micro_batch));
}

void Executor::receive(Context& ctx, const Instruction& i, const Tensor& x) {
    pipeline_.recv(ctx.stream, x, i.peer, message_tag(i.op == Op::ReceiveForward, i.chunk, i.micro_batch));
}

void Executor::finish_sends() {
    for (auto& lane : lanes_) {
        for (auto& transfer : lane.transfers) {
            if (transfer) transfer->wait();
            transfer.reset();
        }
    }
}

}  // namespace tandem
