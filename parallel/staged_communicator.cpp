#include "parallel/staged_communicator.h"

#include <algorithm>

#include "kernels/base/host_stream.h"
#include "parallel/collective_operands.h"
#include "parallel/staged_chunks.h"

namespace tandem {
namespace {

HostStream at_once;

/// Elements [first, first + count) of each of the `blocks` equal blocks of a contiguous tensor.
Tensor slices(const Tensor& x, int blocks, std::int64_t first, std::int64_t count) {
    const std::int64_t block = x.elements() / blocks;
    auto* data = static_cast<std::byte*>(x.raw()) + static_cast<std::size_t>(first) * size_of(x.dtype());
    return {data, x.dtype(), Shape{blocks, count}, block};
}

Tensor slice(const Tensor& x, std::int64_t first, std::int64_t count) { return slices(x, 1, first, count).reshape({count}); }

}  // namespace

Staging::Staging(Backend& device, std::size_t chunk_bytes, int ranks)
    : backend(device),
      chunk(std::max(chunk_bytes, 2 * static_cast<std::size_t>(ranks) * sizeof(double))),  // an element of each, to and from
      sends(device, chunk),
      buffers{{{device, chunk}, {device, chunk}}} {}

StagedCommunicator::StagedCommunicator(std::shared_ptr<Staging> staging, std::unique_ptr<Communicator> host)
    : staging_(std::move(staging)), host_(std::move(host)) {}

StagedCommunicator::~StagedCommunicator() = default;

std::unique_ptr<Communicator> StagedCommunicator::split(int color, int key) {
    return std::make_unique<StagedCommunicator>(staging_, host().split(color, key));
}

Communicator& StagedCommunicator::host() {
    staging_->sends.send_all();
    return *host_;
}

std::int64_t StagedCommunicator::per_chunk(DType dtype, int blocks) const {
    return std::max<std::int64_t>(static_cast<std::int64_t>(staging_->chunk / size_of(dtype)) / blocks, 1);
}

void StagedCommunicator::in_chunks(std::int64_t elements, std::int64_t per_chunk, const Step& fetch, const Step& travel,
                                   const Step& deliver) {
    const auto chunk = [&](std::int64_t first) {
        const auto which = static_cast<std::size_t>(first / per_chunk % 2);
        return Chunk{staging_->buffers[which], first, std::min(per_chunk, elements - first)};
    };
    if (elements > 0) fetch(chunk(0));
    for (std::int64_t first = 0; first < elements; first += per_chunk) {
        if (first + per_chunk < elements) fetch(chunk(first + per_chunk));
        const Chunk now = chunk(first);
        now.buffer.wait();
        travel(now);
        deliver(now);
    }
}

void StagedCommunicator::all_reduce(Stream& stream, const Tensor& x) {
    check_all_reduce(x);
    if (size() == 1) return;
    const auto staged = [&](const Chunk& c) { return c.buffer.at(0, x.dtype(), {c.count}); };
    in_chunks(
        x.elements(), per_chunk(x.dtype(), 1), [&](const Chunk& c) { c.buffer.fetch(stream, slice(x, c.first, c.count), staged(c)); },
        [&](const Chunk& c) { host().all_reduce(at_once, staged(c)); },
        [&](const Chunk& c) { c.buffer.deliver(stream, staged(c), slice(x, c.first, c.count)); });
}

void StagedCommunicator::reduce_scatter(Stream& stream, const Tensor& x, const Tensor& shard) {
    check_reduce_scatter(x, shard, size());
    const auto staged = [&](const Chunk& c) { return c.buffer.at(0, x.dtype(), {size() * c.count}); };
    const auto own = [&](const Chunk& c) { return staged(c).rows(rank() * c.count, (rank() + 1) * c.count); };
    in_chunks(
        shard.elements(), per_chunk(x.dtype(), size()),
        [&](const Chunk& c) { c.buffer.fetch(stream, slices(x, size(), c.first, c.count), staged(c)); },
        [&](const Chunk& c) { host().reduce_scatter(at_once, staged(c), own(c)); },
        [&](const Chunk& c) { c.buffer.deliver(stream, own(c), slice(shard, c.first, c.count)); });
}

void StagedCommunicator::all_gather(Stream& stream, const Tensor& shard, const Tensor& x) {
    check_all_gather(shard, x, rank(), size());
    const auto staged = [&](const Chunk& c) { return c.buffer.at(0, x.dtype(), {size(), c.count}); };
    in_chunks(
        shard.elements(), per_chunk(x.dtype(), size()),
        [&](const Chunk& c) { c.buffer.fetch(stream, slice(shard, c.first, c.count), staged(c).rows(rank(), rank() + 1)); },
        [&](const Chunk& c) { host().all_gather(at_once, staged(c).rows(rank(), rank() + 1), staged(c)); },
        [&](const Chunk& c) { c.buffer.deliver(stream, staged(c), slices(x, size(), c.first, c.count)); });
}

void StagedCommunicator::all_to_all(Stream& stream, const Tensor& x, const Tensor& y) {
    check_all_to_all(x, y, size());
    const auto out = [&](const Chunk& c) { return c.buffer.at(0, x.dtype(), {size(), c.count}); };
    const auto in = [&](const Chunk& c) { return c.buffer.at(out(c).bytes(), x.dtype(), {size(), c.count}); };
    in_chunks(
        x.elements() / size(), per_chunk(x.dtype(), 2 * size()),
        [&](const Chunk& c) { c.buffer.fetch(stream, slices(x, size(), c.first, c.count), out(c)); },
        [&](const Chunk& c) { host().all_to_all(at_once, out(c), in(c)); },
        [&](const Chunk& c) { c.buffer.deliver(stream, in(c), slices(y, size(), c.first, c.count)); });
}

void StagedCommunicator::broadcast(Stream& stream, const Tensor& x, int root) {
    check_operand("broadcast", x);
    check_peer("broadcast", root, size());
    const auto staged = [&](const Chunk& c) { return c.buffer.at(0, x.dtype(), {c.count}); };
    const bool sends = rank() == root;
    in_chunks(
        x.elements(), per_chunk(x.dtype(), 1),
        [&](const Chunk& c) {
            if (sends) c.buffer.fetch(stream, slice(x, c.first, c.count), staged(c));
        },
        [&](const Chunk& c) { host().broadcast(at_once, staged(c), root); },
        [&](const Chunk& c) {
            if (!sends) c.buffer.deliver(stream, staged(c), slice(x, c.first, c.count));
        });
}

std::unique_ptr<Transfer> StagedCommunicator::start_send(Stream& stream, const Tensor& x, int peer, int tag) {
    check_operand("start_send", x);
    check_peer("start_send", peer, size());
    return staging_->sends.start(stream, *host_, x, peer, tag);
}

void StagedCommunicator::send(Stream& stream, const Tensor& x, int peer, int tag) {
    check_operand("send", x);
    check_peer("send", peer, size());
    staging_->sends.start(stream, *host_, x, peer, tag)->wait();
}

void StagedCommunicator::recv(Stream& stream, const Tensor& x, int peer, int tag) {
    check_operand("recv", x);
    check_peer("recv", peer, size());
    stream.submit();  // the device has that to do while this rank waits for another
    const auto nothing = [](const Chunk&) {};
    const auto staged = [&](const Chunk& c) { return c.buffer.at(0, x.dtype(), {c.count}); };
    in_chunks(
        x.elements(), per_chunk(x.dtype(), 1), nothing, [&](const Chunk& c) { host_->recv(at_once, staged(c), peer, tag); },
        [&](const Chunk& c) { c.buffer.deliver(stream, staged(c), slice(x, c.first, c.count)); });
}

std::unique_ptr<Communicator> make_staged_communicator(Backend& backend, Communicator& world, std::size_t chunk) {
    auto staging = std::make_shared<Staging>(backend, chunk, world.size());
    return std::make_unique<StagedCommunicator>(std::move(staging), world.split(0, world.rank()));
}

}  // namespace tandem
