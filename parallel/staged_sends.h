// Messages from a device's memory under way: the stream copies them to pinned memory, MPI takes them from there.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/idle_task.h"
#include "parallel/pinned_buffer.h"

namespace tandem {

/// All of a rank's, whatever their groups, in the order in which they were started. A message is handed to MPI when somebody looks and
/// finds it copied; the calls that may wait for another rank look (StagedCommunicator), so that no rank waits for one that only waits.
class StagedSends final : public IdleTask {
public:
    /// Messages travel in parts of `chunk` bytes: the first is sent while the next is copied.
    StagedSends(Backend& backend, std::size_t chunk) : backend_(backend), chunk_(chunk) {}

    /// Enqueues the copy. `host`: the group over host memory that sends; it must outlive the message.
    [[nodiscard]] std::unique_ptr<Transfer> start(Stream& stream, Communicator& host, const Tensor& x, int peer, int tag);
    [[nodiscard]] bool pending() const override { return !pending_.empty(); }
    void look() override;  ///< sends what is copied
    /// Sends everything that was started; blocks until the device has copied it.
    void send_all();

private:
    /// Pinned memory of one message, and an event for each of its parts.
    struct Slot {
        std::unique_ptr<PinnedMemory> memory;
        std::vector<std::unique_ptr<Event>> copied;
        bool free = true;
    };
    struct Message;
    class Sent;
    Slot& free_slot(std::size_t bytes);
    void wait(Message& message);
    void forget(const Message& message);

    Backend& backend_;
    std::size_t chunk_;
    std::deque<Slot> slots_;  // stay where they are
    std::deque<Message*> pending_;
};

}  // namespace tandem
