// Messages between neighbours in a ring of GPUs. NCCL has no tags, and what is enqueued on one of its communicators runs in that order on
// both ends: two ranks that send to each other over one would wait for ever. So every direction between two ranks, and there each of
// the two lanes that Communicator promises (even and odd tags), has a communicator and a stream of its own.
#pragma once

#include <array>
#include <map>
#include <memory>

#include "kernels/base/backend.h"
#include "parallel/communicator.h"
#include "parallel/nccl/nccl_comm.h"

namespace tandem {

class NcclLinks {
public:
    NcclLinks(const NcclLibrary& library, Backend& backend) : library_(library), backend_(backend) {}

    /// Collective over `control`, the same ranks over host memory. Returns when a message has come over every lane.
    void connect(Communicator& control);
    /// Enqueued on the lane's stream, after what is enqueued on `stream` so far.
    [[nodiscard]] std::unique_ptr<Transfer> start_send(Stream& stream, const Tensor& x, int peer, int tag);
    /// The same; later work on `stream` waits for it, the host does not.
    void send(Stream& stream, const Tensor& x, int peer, int tag);
    void recv(Stream& stream, const Tensor& x, int peer, int tag);

private:
    struct Lane {
        std::unique_ptr<NcclComm> comm;  ///< the sender is rank 0 of it
        std::unique_ptr<Stream> stream;  ///< the sender's
    };
    using Lanes = std::array<Lane, 2>;
    class Sent;
    class FirstMessages;
    void open(int from, int to, int lane, const std::string& id, int rank, FirstMessages& first);
    static Lane& lane(std::map<int, Lanes>& links, const char* verb, int peer, int tag);
    /// Enqueues the message and a mark behind it.
    std::unique_ptr<Event> enqueue(Stream& stream, const Tensor& x, Lane& lane);

    const NcclLibrary& library_;
    Backend& backend_;
    std::map<int, Lanes> to_, from_;  ///< by peer
};

}  // namespace tandem
