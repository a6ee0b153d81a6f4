// A group of ranks and what they do together. Every transport implements all of it; reductions are sums.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/stream.h"
#include "kernels/base/tensor.h"

namespace tandem {

/// A send under way: its tensor must stay as it is until wait() has returned. One that is destroyed without that waits, unless an
/// exception is on its way.
class Transfer {
public:
    virtual ~Transfer() = default;
    virtual void wait() = 0;  ///< blocks until the tensor may be written again; more than once does no harm
};

/// Collectives are called by all ranks of the group in the same order, with the same shapes and types; tensors are
/// contiguous. Device collectives are enqueued on the stream. Errors throw and end the job (see Runtime).
class Communicator {
public:
    virtual ~Communicator() = default;
    [[nodiscard]] virtual int rank() const = 0;
    [[nodiscard]] virtual int size() const = 0;
    [[nodiscard]] virtual std::string_view name() const = 0;  ///< "self", "mpi", ...

    /// The ranks that give the same colour (>= 0), ordered by key and then by rank, as a group of their own.
    [[nodiscard]] virtual std::unique_ptr<Communicator> split(int color, int key) = 0;

    /// Prepares messages between ranks that follow each other, the first one the last one: transports that need it carry no other
    /// messages, and none before. Collective.
    virtual void connect_neighbours() {}

    /// Bytes of buffer that collectives on tensors of up to `largest` bytes take, and lending it to them (uint8): a group that
    /// was lent less allocates for itself, outside the arenas. The buffer must outlive the calls.
    [[nodiscard]] virtual std::size_t buffer_bytes(std::size_t largest) const = 0;
    virtual void lend(const Tensor& buffer) = 0;

    // Device tensors. Sums of fp32 and fp64 are formed in rank order: the same bits for the same number of ranks.
    virtual void all_reduce(Stream&, const Tensor& x) = 0;  ///< x = sum over ranks of x
    virtual void reduce_scatter(
        Stream&, const Tensor& x,
        const Tensor& shard) = 0;  ///< shard = block rank() of the sum of x, and may be that block of it; x is clobbered
    virtual void all_gather(Stream&, const Tensor& shard,
                            const Tensor& x) = 0;                            ///< x = shards in rank order; shard may be its own block of x
    virtual void all_to_all(Stream&, const Tensor& x, const Tensor& y) = 0;  ///< block r of y = block rank() of rank r's x
    virtual void broadcast(Stream&, const Tensor& x, int root) = 0;
    // Messages of no bytes are neither sent nor received. Tags: 0 to 32767. What a rank sends to another with even tags is received in
    // the order in which it was sent, and so are odd ones: a transport may have those two lanes and no tags (see Executor).
    virtual void send(Stream&, const Tensor& x, int peer, int tag) = 0;
    [[nodiscard]] virtual std::unique_ptr<Transfer> start_send(Stream&, const Tensor& x, int peer, int tag) = 0;  ///< never null
    virtual void recv(Stream&, const Tensor& x, int peer, int tag) = 0;

    // Host values: control, not data.
    virtual void barrier() = 0;
    virtual void sum(std::span<double> values) = 0;  ///< in rank order
    virtual void sum(std::span<std::int64_t> values) = 0;
    virtual void max(std::span<double> values) = 0;
    virtual void max(std::span<std::int64_t> values) = 0;
    virtual void broadcast(std::string& text, int root) = 0;
    [[nodiscard]] virtual std::vector<std::string> gather(const std::string& text) = 0;  ///< every rank's text, on every rank
};

/// The group of one rank.
std::unique_ptr<Communicator> make_self_communicator();

}  // namespace tandem
