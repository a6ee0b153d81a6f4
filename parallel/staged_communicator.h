// Communicator for device tensors without any help of the device's: through pinned host memory. For cards that cannot reach each other,
// and for several ranks on one card.
#pragma once

#include <array>
#include <functional>

#include "parallel/communicator.h"
#include "parallel/pinned_buffer.h"
#include "parallel/staged_sends.h"

namespace tandem {

/// Bytes that travel at a time: large beside the latency of a copy and of a message, small enough that the first chunk is soon there.
inline constexpr std::size_t kStagingChunk = std::size_t{4} << 20U;

/// The pinned memory of a rank, which all its groups share. One thread at a time.
struct Staging {
    Staging(Backend& device, std::size_t chunk_bytes, int ranks);

    Backend& backend;
    std::size_t chunk;
    StagedSends sends;
    std::array<PinnedBuffer, 2> buffers;
};

/// Every tensor goes to the host, over the group `host` there, and back, in chunks through two buffers: while one travels, the next is
/// copied. Sums are those of `host`, to the bit. Verbs block the host until the other ranks have answered; the copies that end them are
/// enqueued on the stream. Sends under way (StagedSends) go on whenever this rank calls a verb. Buffers are host memory of its own,
/// about 2 chunks and what sends take; nothing has to be lent.
class StagedCommunicator final : public Communicator {
public:
    /// `host` is a group over host memory; it carries nothing else.
    StagedCommunicator(std::shared_ptr<Staging> staging, std::unique_ptr<Communicator> host);
    ~StagedCommunicator() override;
    StagedCommunicator(const StagedCommunicator&) = delete;
    StagedCommunicator& operator=(const StagedCommunicator&) = delete;

    [[nodiscard]] int rank() const override { return host_->rank(); }
    [[nodiscard]] int size() const override { return host_->size(); }
    [[nodiscard]] std::string_view name() const override { return "staged"; }
    [[nodiscard]] std::unique_ptr<Communicator> split(int color, int key) override;

    [[nodiscard]] std::size_t buffer_bytes(std::size_t /*largest*/) const override { return 0; }
    void lend(const Tensor& /*buffer*/) override {}

    void all_reduce(Stream& stream, const Tensor& x) override;
    void reduce_scatter(Stream& stream, const Tensor& x, const Tensor& shard) override;
    void all_gather(Stream& stream, const Tensor& shard, const Tensor& x) override;
    void all_to_all(Stream& stream, const Tensor& x, const Tensor& y) override;
    void broadcast(Stream& stream, const Tensor& x, int root) override;
    void send(Stream& stream, const Tensor& x, int peer, int tag) override;
    [[nodiscard]] std::unique_ptr<Transfer> start_send(Stream& stream, const Tensor& x, int peer, int tag) override;
    void recv(Stream& stream, const Tensor& x, int peer, int tag) override;

    void barrier() override { host().barrier(); }
    void sum(std::span<double> values) override { host().sum(values); }
    void sum(std::span<std::int64_t> values) override { host().sum(values); }
    void max(std::span<double> values) override { host().max(values); }
    void max(std::span<std::int64_t> values) override { host().max(values); }
    void broadcast(std::string& text, int root) override { host().broadcast(text, root); }
    [[nodiscard]] std::vector<std::string> gather(const std::string& text) override { return host().gather(text); }

private:
    /// Elements [first, first + count) of a block, and the buffer through which they go.
    struct Chunk {
        PinnedBuffer& buffer;
        std::int64_t first, count;
    };
    using Step = std::function<void(const Chunk&)>;
    /// For every chunk of `elements` elements, `per_chunk` at a time: `fetch` enqueues its copy to the buffer, `travel` is called when
    /// that has run and no copy from the buffer is under way, `deliver` enqueues the copy back.
    void in_chunks(std::int64_t elements, std::int64_t per_chunk, const Step& fetch, const Step& travel, const Step& deliver);
    /// Elements of a block that fit a buffer together with those of `blocks` - 1 other ones.
    [[nodiscard]] std::int64_t per_chunk(DType dtype, int blocks) const;
    /// The host's group, for a call that may wait for other ranks: they may wait for what this one has to send.
    Communicator& host();

    std::shared_ptr<Staging> staging_;
    std::unique_ptr<Communicator> host_;
};

/// The ranks of `world` as a group over the memory of `backend`, which must outlive it and every group split from it, and their
/// transfers. Collective.
[[nodiscard]] std::unique_ptr<Communicator> make_staged_communicator(Backend& backend, Communicator& world,
                                                                     std::size_t chunk = kStagingChunk);

}  // namespace tandem
