// Runs programs: one rank's instructions in their order, computing done by a Stage, messages by a Communicator.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/base/context.h"
#include "parallel/communicator.h"
#include "parallel/program.h"
#include "parallel/stage.h"

namespace tandem {

/// Sees every instruction, before and after it.
class InstructionObserver {
public:
    virtual ~InstructionObserver() = default;
    virtual void begin(const Instruction&) = 0;
    virtual void end(const Instruction&) = 0;
};

/// Memory from which messages are sent while the stage goes on: uint8, each as large as the largest message of its direction; see
/// outbox_buffers(). Absent where a rank sends nothing that way.
struct Outbox {
    std::vector<Tensor> forward = std::vector<Tensor>(kOutboxBuffers), backward = std::vector<Tensor>(kOutboxBuffers);
};

/// The first instruction after all backward passes: Clip, or program.size() without one. What lies before it may run apart from the rest.
[[nodiscard]] std::size_t tail(const Program& program);

/// Collective over the pipeline group: all its ranks run the programs that were made together.
class Executor {
public:
    /// At least kOutboxBuffers buffers of each direction.
    Executor(Communicator& pipeline, const Outbox& outbox);

    /// Instructions [first, last). A receive returns when its message is there; a send when it is copied to the outbox, for which it waits
    /// only if all buffers of its direction are under way. Sends are over when this returns, if `last` is the tail or the end. Throws Run
    /// for a message larger than its buffer, and what stage and communicator throw.
    void run(Context& ctx, const Program& program, std::size_t first, std::size_t last, Stage& stage,
             InstructionObserver* observer = nullptr);

private:
    struct Lane {
        std::vector<Tensor> buffers;
        std::vector<std::unique_ptr<Transfer>> transfers;  ///< of each buffer
        std::size_t next = 0;
    };
    void execute(Context& ctx, const Instruction& i, Stage& stage);
    void send(Context& ctx, const Instruction& i, const Tensor& x);
    void receive(Context& ctx, const Instruction& i, const Tensor& x);
    void finish_sends();

    Communicator& pipeline_;
    std::array<Lane, 2> lanes_;  ///< forward, backward
};

}  // namespace tandem
