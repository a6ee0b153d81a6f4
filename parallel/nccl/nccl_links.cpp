#include "parallel/nccl/nccl_links.h"

#include <chrono>
#include <exception>
#include <thread>

#include "kernels/cuda/stream.h"
#include "parallel/nccl/nccl_ids.h"
#include "parallel/nccl_memory.h"

namespace tandem {
namespace {

/// How long the first messages may be on their way, seconds.
constexpr double kPatience = 60;
constexpr std::size_t kApart = Arena::kAlignment;

}  // namespace

/// A byte over every lane. NCCL connects two ranks when the first message between them is sent and received, and neither call is complete
/// before the other has been made: in a run, a rank that sends would wait for one that sends as well.
class NcclLinks::FirstMessages {
public:
    explicit FirstMessages(Backend& backend)
        : backend_(backend), receives_(backend.make_stream()), bytes_(static_cast<std::byte*>(backend.reserve(2 * kApart))) {}
    ~FirstMessages() {
        if (std::uncaught_exceptions() == 0) backend_.unreserve(bytes_, 2 * kApart);  // else it would wait for what does not arrive
    }
    FirstMessages(const FirstMessages&) = delete;
    FirstMessages& operator=(const FirstMessages&) = delete;

    void send(Lane& lane) {
        NcclComm& comm = *lane.comm;
        comm.call("the first send",
                  [&] { return comm.library().send(bytes_, 1, ncclUint8, 1, comm.handle(), cuda::native(*lane.stream)); });
        const auto sent = backend_.make_event();
        lane.stream->record(*sent);
        receives_->wait(*sent);
    }
    void receive(Lane& lane) {
        NcclComm& comm = *lane.comm;
        comm.call("the first receive",
                  [&] { return comm.library().recv(bytes_ + kApart, 1, ncclUint8, 0, comm.handle(), cuda::native(*receives_)); });
    }
    /// Until all have arrived, but not for ever: direct access between cards that does not work may as well hang as fail.
    void wait() {
        const auto done = backend_.make_event();
        receives_->record(*done);
        for (const auto start = std::chrono::steady_clock::now(); !done->done(); std::this_thread::yield()) {
            if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > kPatience)
                fail(Failure::Run, "the first messages between neighbours have not arrived after {} s", kPatience);
        }
    }

private:
    Backend& backend_;
    std::unique_ptr<Stream> receives_;
    std::byte* bytes_;
};

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

void NcclLinks::open(int from, int to, int lane, const std::string& id, int rank, FirstMessages& first) {
    if (rank != from && rank != to) return;
    Lane& made = (rank == from ? to_[to] : from_[from]).at(static_cast<std::size_t>(lane));
    made.comm = std::make_unique<NcclComm>(library_, id, rank == from ? 0 : 1, 2, kNcclLinkChannels);
    if (rank != from) return first.receive(made);
    made.stream = backend_.make_stream();
    first.send(made);
}

/// All ranks walk over all pairs in one order, so that of any ranks that wait for each other one pair is always at the same lane. Every
/// other pair comes first: these meet side by side, and what a rank waits for does not grow with the ring.
void NcclLinks::connect(Communicator& control) {
    const int ranks = control.size();
    if (ranks == 1 || !to_.empty()) return;
    const std::vector<std::string> ids = shared_ids(library_, control, 4);
    const auto id = [&](int from, std::size_t number) {
        return ids[static_cast<std::size_t>(from)].substr(kNcclIdBytes * number, kNcclIdBytes);
    };
    FirstMessages first(backend_);
    const int pairs = ranks == 2 ? 1 : ranks;
    for (int turn = 0; turn < 2; ++turn) {
        for (int low = turn; low < pairs; low += 2) {
            const int high = (low + 1) % ranks;
            for (const int lane : {0, 1}) open(low, high, lane, id(low, static_cast<std::size_t>(lane)), control.rank(), first);
            for (const int lane : {0, 1}) open(high, low, lane, id(high, static_cast<std::size_t>(2 + lane)), control.rank(), first);
        }
    }
    first.wait();
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
