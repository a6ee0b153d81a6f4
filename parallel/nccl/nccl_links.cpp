#include "parallel/nccl/nccl_links.h"

#include <exception>
#include <set>
#include <thread>

#include "kernels/cuda/stream.h"
#include "parallel/nccl/nccl_ids.h"
#include "parallel/nccl_memory.h"

namespace tandem {

class NcclLinks::Sent final : public Transfer {
public:
    Sent(NcclComm& comm, std::unique_ptr<Event> done) : comm_(comm), done_(std::move(done)) {}
    Sent(const Sent&) = delete;
    Sent& operator=(const Sent&) = delete;
    ~Sent() override {
        if (std::uncaught_exceptions() > 0) return;
        try {
            wait();
        } catch (const std::exception&) {
            // The next call meets the same failure and says so.
        }
    }
    void wait() override {
        while (done_ && !done_->done()) {
            comm_.check_background();
            std::this_thread::yield();
        }
        done_.reset();
    }

private:
    NcclComm& comm_;
    std::unique_ptr<Event> done_;
};

void NcclLinks::open(int from, int to, int lane, const std::string& id, int rank) {
    if (rank != from && rank != to) return;
    Lane& made = (rank == from ? to_[to] : from_[from]).at(static_cast<std::size_t>(lane));
    made.comm = std::make_unique<NcclComm>(library_, id, rank == from ? 0 : 1, 2, kNcclLinkChannels);
    if (rank == from) made.stream = backend_.make_stream();
}

/// All ranks walk over all links in one order, so that of any ranks that wait for each other's ends one pair is always at the same link.
void NcclLinks::connect(Communicator& control) {
    const int ranks = control.size();
    if (ranks == 1 || !to_.empty()) return;
    const std::vector<std::string> ids = shared_ids(library_, control, 4);
    for (int from = 0; from < ranks; ++from) {
        std::size_t next = 0;
        for (const int to : std::set{(from + 1) % ranks, (from + ranks - 1) % ranks}) {
            for (int lane = 0; lane < 2; ++lane) {
                open(from, to, lane, ids[static_cast<std::size_t>(from)].substr(kNcclIdBytes * next++, kNcclIdBytes), control.rank());
            }
        }
    }
}

NcclLinks::Lane& NcclLinks::lane(std::map<int, Lanes>& links, const char* verb, int peer, int tag) {
    const auto found = links.find(peer);
    require(found != links.end(), "{}: rank {} is not a neighbour that was connected (Communicator::connect_neighbours)", verb, peer);
    return found->second.at(static_cast<std::size_t>(tag % 2));
}

std::unique_ptr<Event> NcclLinks::enqueue(Stream& stream, const Tensor& x, Lane& lane) {
    auto mark = backend_.make_event();
    stream.record(*mark);
    lane.stream->wait(*mark);
    lane.comm->call("send",
                    [&] { return library_.send(x.raw(), x.bytes(), ncclUint8, 1, lane.comm->handle(), cuda::native(*lane.stream)); });
    lane.stream->record(*mark);
    return mark;
}

std::unique_ptr<Transfer> NcclLinks::start_send(Stream& stream, const Tensor& x, int peer, int tag) {
    Lane& out = lane(to_, "start_send", peer, tag);
    return std::make_unique<Sent>(*out.comm, x.bytes() == 0 ? nullptr : enqueue(stream, x, out));
}

void NcclLinks::send(Stream& stream, const Tensor& x, int peer, int tag) {
    Lane& out = lane(to_, "send", peer, tag);
    if (x.bytes() > 0) stream.wait(*enqueue(stream, x, out));
}

void NcclLinks::recv(Stream& stream, const Tensor& x, int peer, int tag) {
    Lane& in = lane(from_, "recv", peer, tag);
    if (x.bytes() == 0) return;
    in.comm->call("recv", [&] { return library_.recv(x.raw(), x.bytes(), ncclUint8, 0, in.comm->handle(), cuda::native(stream)); });
}

}  // namespace tandem
