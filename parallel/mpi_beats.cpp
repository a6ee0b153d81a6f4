#include "parallel/mpi_beats.h"

#include <algorithm>
#include <exception>

#include "parallel/mpi_check.h"

namespace tandem {
namespace {

constexpr int kSignsTag = 0, kEndTag = 1;

}  // namespace

MpiBeats::MpiBeats(MPI_Comm world) {
    // Small enough to be sent without asking the receiver: a rank that is stopped in the middle of a longer one would hold up its receiver.
    static_assert(sizeof(Message) <= 4096 - 256);
    mpi_check(MPI_Comm_dup(world, &comm_), "MPI_Comm_dup");
    mpi_check(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    mpi_check(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
    mpi_check(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
    for (int distance = 1; distance < size_; distance *= 2) outboxes_.push_back({(rank_ + distance) % size_, {}, {}});
}

MpiBeats::~MpiBeats() {
    if (leaving_ == Leaving::Left) MPI_Comm_free(&comm_);
}

bool MpiBeats::Outbox::empty() {
    int done = 1;
    if (!requests.empty())
        mpi_check(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE), "MPI_Testall");
    return done != 0;
}

void MpiBeats::beat(std::span<const Sign> signs) {
    if (outboxes_.empty() || leaving_ >= Leaving::Emptying) return;
    Outbox& out = outboxes_[next_++ % outboxes_.size()];
    if (!out.empty()) return;
    out.messages.clear();
    out.requests.clear();
    for (std::size_t first = 0; first < signs.size();) {
        Message& message = out.messages.emplace_back();
        const std::size_t count = std::min(signs.size() - first, message.signs.size());
        message.first = first;
        message.count = count;
        std::ranges::copy(signs.subspan(first, count), message.signs.begin());
        first += count;
    }
    for (Message& message : out.messages) {
        // Synchronous: complete when it has been taken, so that ranks can part with nothing under way.
        MPI_Request& request = out.requests.emplace_back(MPI_REQUEST_NULL);
        mpi_check(MPI_Issend(&message, sizeof message, MPI_BYTE, out.rank, kSignsTag, comm_, &request), "MPI_Issend");
    }
}

void MpiBeats::receive(const Listener& heard) {
    for (;;) {
        int found = 0;
        MPI_Status status;
        mpi_check(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm_, &found, &status), "MPI_Iprobe");
        if (!found) return;
        Message message{};
        mpi_check(MPI_Recv(&message, sizeof message, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, comm_, MPI_STATUS_IGNORE), "MPI_Recv");
        if (status.MPI_TAG == kEndTag) ended_by_ = std::min(ended_by_.value_or(status.MPI_SOURCE), status.MPI_SOURCE);
        else heard(message.first, std::span<const Sign>(message.signs).first(std::min<std::size_t>(message.count, message.signs.size())));
    }
}

void MpiBeats::announce_end() {
    for (int r = 0; r < size_; ++r) {
        if (r == rank_) continue;
        MPI_Request request = MPI_REQUEST_NULL;  // nobody waits for it: the process ends
        mpi_check(MPI_Isend(nullptr, 0, MPI_BYTE, r, kEndTag, comm_, &request), "MPI_Isend");
    }
}

bool MpiBeats::everybody_is_there() {
    int done = 0;
    if (gathered_ == MPI_REQUEST_NULL) mpi_check(MPI_Ibarrier(comm_, &gathered_), "MPI_Ibarrier");
    mpi_check(MPI_Test(&gathered_, &done, MPI_STATUS_IGNORE), "MPI_Test");
    return done != 0;
}

bool MpiBeats::leave() {
    if (leaving_ == Leaving::No) leaving_ = Leaving::Gathering;
    if (leaving_ == Leaving::Gathering && everybody_is_there()) leaving_ = Leaving::Emptying;
    if (leaving_ == Leaving::Emptying && std::ranges::all_of(outboxes_, [](Outbox& out) { return out.empty(); }))
        leaving_ = Leaving::Parting;
    if (leaving_ == Leaving::Parting && everybody_is_there()) leaving_ = Leaving::Left;
    return leaving_ == Leaving::Left;
}

}  // namespace tandem
