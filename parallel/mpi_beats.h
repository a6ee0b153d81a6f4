// Signs of life between the ranks of a job. Only files of parallel/ include this.
#pragma once

#include <mpi.h>

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "parallel/peers.h"

namespace tandem {

/// Messages on a communicator of its own, by one thread beside the one that works (MPI_THREAD_MULTIPLE). No call waits for another rank,
/// which may be stopped: what a rank has not taken is not sent again before it has.
class MpiBeats {
public:
    /// Collective.
    explicit MpiBeats(MPI_Comm world);
    ~MpiBeats();
    MpiBeats(const MpiBeats&) = delete;
    MpiBeats& operator=(const MpiBeats&) = delete;

    /// Number of ranks that a rank sends to, in turn: those at distances of powers of two, so that news reach everybody in so many beats.
    [[nodiscard]] std::size_t targets() const { return outboxes_.size(); }
    /// Tells the next of them what is known of all ranks.
    void beat(std::span<const Sign> signs);
    using Listener = std::function<void(std::size_t first, std::span<const Sign>)>;
    /// Takes in what has come.
    void receive(const Listener& heard);
    /// The lowest rank but this one that has said that it ends the job.
    [[nodiscard]] std::optional<int> ended_by() const { return ended_by_; }
    /// Says to all ranks that this one ends the job.
    void announce_end();

    /// To be called over and over, receive() in between, until it returns true: all ranks have come here and nothing is under way any more.
    bool leave();
    /// All ranks have come to leave(): from now on some are gone, and their silence means nothing.
    [[nodiscard]] bool parting() const { return leaving_ >= Leaving::Emptying; }

private:
    struct Message {
        std::uint64_t first, count;
        std::array<Sign, 48> signs;
    };
    struct Outbox {
        int rank = 0;
        std::vector<Message> messages;
        std::vector<MPI_Request> requests;
        [[nodiscard]] bool empty();
    };
    enum class Leaving : std::uint8_t { No, Gathering, Emptying, Parting, Left };
    bool everybody_is_there();

    MPI_Comm comm_ = MPI_COMM_NULL;
    int rank_ = 0, size_ = 1;
    std::vector<Outbox> outboxes_;
    std::size_t next_ = 0;
    Leaving leaving_ = Leaving::No;
    MPI_Request gathered_ = MPI_REQUEST_NULL;
    std::optional<int> ended_by_;
};

}  // namespace tandem
