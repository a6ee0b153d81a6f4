#include "parallel/staged_sends.h"

#include <algorithm>
#include <exception>

#include "kernels/base/host_stream.h"
#include "parallel/staged_chunks.h"

namespace tandem {

struct StagedSends::Message {
    Communicator& host;
    int peer, tag;
    Slot& slot;
    std::vector<Tensor> parts;                       ///< in the slot's memory
    std::vector<std::unique_ptr<Transfer>> started;  ///< of the first of them

    [[nodiscard]] bool copied() const { return slot.copied[started.size()]->done(); }
    void send_part() {
        slot.copied[started.size()]->synchronize();
        HostStream order;
        started.push_back(host.start_send(order, parts[started.size()], peer, tag));
    }
    [[nodiscard]] bool complete() const { return started.size() == parts.size(); }
};

class StagedSends::Sent final : public Transfer {
public:
    Sent(StagedSends& sends, std::unique_ptr<Message> message) : sends_(sends), message_(std::move(message)) {}
    Sent(const Sent&) = delete;
    Sent& operator=(const Sent&) = delete;
    ~Sent() override {
        if (!message_) return;
        try {
            if (std::uncaught_exceptions() > 0) sends_.forget(*message_);
            else wait();
        } catch (const std::exception&) {
            sends_.forget(*message_);  // MPI has failed: the next call says so
        }
    }
    void wait() override {
        if (!message_) return;
        sends_.wait(*message_);
        message_.reset();
    }

private:
    StagedSends& sends_;
    std::unique_ptr<Message> message_;
};

/// Messages of a run have few sizes: a slot that fits is nearly always there, and one that is too small is replaced.
StagedSends::Slot& StagedSends::free_slot(std::size_t bytes) {
    const auto fits = [&](const Slot& slot) { return slot.free && slot.memory->bytes() >= bytes; };
    auto slot = std::find_if(slots_.begin(), slots_.end(), fits);
    if (slot == slots_.end()) slot = std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.free; });
    if (slot == slots_.end()) slot = slots_.emplace(slots_.end());
    if (!slot->memory || slot->memory->bytes() < bytes) {
        slot->memory.reset();
        slot->memory = std::make_unique<PinnedMemory>(backend_, (bytes + chunk_ - 1) / chunk_ * chunk_);
    }
    slot->free = false;
    return *slot;
}

std::unique_ptr<Transfer> StagedSends::start(Stream& stream, Communicator& host, const Tensor& x, int peer, int tag) {
    auto message = std::make_unique<Message>(Message{host, peer, tag, free_slot(x.bytes()), {}, {}});
    std::byte* to = message->slot.memory->data();
    for (const Tensor& part : chunks(x, chunk_)) {
        const std::size_t i = message->parts.size();
        if (message->slot.copied.size() == i) message->slot.copied.push_back(backend_.make_event());
        backend_.copy_to_host(stream, part, to);
        stream.record(*message->slot.copied[i]);
        message->parts.emplace_back(to, part.dtype(), part.shape());
        to += part.bytes();
    }
    if (!message->complete()) pending_.push_back(message.get());
    auto sent = std::make_unique<Sent>(*this, std::move(message));
    look();
    return sent;
}

void StagedSends::look() {
    while (!pending_.empty() && pending_.front()->copied()) {
        pending_.front()->send_part();
        if (pending_.front()->complete()) pending_.pop_front();
    }
}

void StagedSends::send_all() {
    for (; !pending_.empty(); pending_.pop_front()) {
        while (!pending_.front()->complete()) pending_.front()->send_part();
    }
}

void StagedSends::wait(Message& message) {
    if (!message.complete()) send_all();
    for (const auto& part : message.started) part->wait();
    message.slot.free = true;
}

/// Its slot stays taken: nobody knows who is still in it.
void StagedSends::forget(const Message& message) { std::erase(pending_, &message); }

}  // namespace tandem
