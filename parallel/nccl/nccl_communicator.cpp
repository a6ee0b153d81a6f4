#include "parallel/nccl/nccl_communicator.h"

#include <algorithm>
#include <exception>

#include "kernels/cuda/stream.h"
#include "parallel/collective_operands.h"
#include "parallel/nccl/device_sum.h"
#include "parallel/nccl/nccl_ids.h"
#include "parallel/nccl_memory.h"
#include "parallel/reduction_buffer.h"

namespace tandem {
namespace {

/// Elements [first, first + count) of a contiguous tensor.
Tensor flat(const Tensor& x, std::int64_t first, std::int64_t count) {
    return {static_cast<std::byte*>(x.raw()) + static_cast<std::size_t>(first) * size_of(x.dtype()), x.dtype(), Shape{count}};
}

/// Kernels read whole vectors where numbers begin at one.
constexpr std::int64_t kVector = 64;

}  // namespace

NcclCommunicator::NcclCommunicator(const NcclLibrary& library, Backend& backend, std::unique_ptr<Communicator> control, int channels)
    : library_(library),
      backend_(backend),
      control_(std::move(control)),
      channels_(channels),
      links_(library, backend),
      last_sum_(backend.make_event()) {}

NcclCommunicator::~NcclCommunicator() {
    if (own_ != nullptr && std::uncaught_exceptions() == 0) backend_.unreserve(own_, own_bytes_);
}

std::unique_ptr<Communicator> NcclCommunicator::split(int color, int key) {
    return std::make_unique<NcclCommunicator>(library_, backend_, control_->split(color, key), kNcclChannels);
}

NcclComm& NcclCommunicator::comm() {
    if (!comm_) comm_ = std::make_unique<NcclComm>(library_, shared_ids(library_, *control_, 1)[0], rank(), size(), channels_);
    return *comm_;
}

std::size_t NcclCommunicator::buffer_bytes(std::size_t largest) const { return reduction_buffer_bytes(largest, size(), kReductionChunk); }

std::byte* NcclCommunicator::scratch(std::size_t bytes) {
    if (lent_ && lent_.bytes() >= bytes) return static_cast<std::byte*>(lent_.raw());
    if (own_bytes_ < bytes) {
        if (own_ != nullptr) backend_.unreserve(own_, own_bytes_);  // waits for the device
        own_bytes_ = 0;
        own_ = static_cast<std::byte*>(backend_.reserve(bytes));
        own_bytes_ = bytes;
    }
    return own_;
}

std::int64_t NcclCommunicator::per_chunk(DType dtype, std::size_t bytes) const {
    const std::size_t buffer = std::max(std::min(bytes, kReductionChunk), kSmallReduction);
    const auto n = static_cast<std::int64_t>(buffer / (static_cast<std::size_t>(size()) * size_of(dtype) + wide_bytes(dtype)));
    return std::max<std::int64_t>(n > kVector ? n - n % kVector : n, 1);
}

void NcclCommunicator::exchange(const char* verb, Stream& stream, std::span<const Tensor> out, std::span<const Tensor> in) {
    NcclComm& nccl = comm();
    const auto queue = cuda::native(stream);
    nccl.group(verb, [&] {
        for (int r = 0; r < size(); ++r) {
            const Tensor &x = out[static_cast<std::size_t>(r)], &y = in[static_cast<std::size_t>(r)];
            if (r == rank() && x.raw() == y.raw()) continue;
            if (x.bytes() > 0) nccl.enqueued(library_.send(x.raw(), x.bytes(), ncclUint8, r, nccl.handle(), queue), verb);
            if (y.bytes() > 0) nccl.enqueued(library_.recv(y.raw(), y.bytes(), ncclUint8, r, nccl.handle(), queue), verb);
        }
    });
}

void NcclCommunicator::reduce_block(Stream& stream, std::span<const Tensor> blocks, const Tensor& out, std::int64_t largest) {
    const DType dtype = out.dtype();
    const auto me = static_cast<std::size_t>(rank());
    const std::size_t wide = wide_bytes(dtype) * static_cast<std::size_t>(largest);
    const std::size_t part = size_of(dtype) * static_cast<std::size_t>(largest);
    std::byte* buffer = scratch(wide + part * blocks.size());
    std::vector<Tensor> parts;
    for (std::size_t r = 0; r < blocks.size(); ++r) parts.emplace_back(buffer + wide + r * part, dtype, Shape{out.elements()});
    parts[me] = blocks[me];
    exchange("the sum over the ranks", stream, blocks, parts);
    if (out.elements() > 0) device_sum(backend_, stream, parts, out, buffer);
}

void NcclCommunicator::reduce_small(Stream& stream, const Tensor& x) {
    const std::int64_t n = x.elements();
    const std::size_t wide = wide_bytes(x.dtype()) * static_cast<std::size_t>(n);
    std::byte* buffer = scratch(wide + x.bytes() * static_cast<std::size_t>(size()));
    all_gather(stream, flat(x, 0, n), Tensor(buffer + wide, x.dtype(), {size() * n}));
    std::vector<Tensor> parts;
    for (int r = 0; r < size(); ++r) parts.emplace_back(buffer + wide + static_cast<std::size_t>(r) * x.bytes(), x.dtype(), Shape{n});
    device_sum(backend_, stream, parts, flat(x, 0, n), buffer);
}

void NcclCommunicator::reduce_chunk(Stream& stream, const Tensor& x, std::int64_t largest) {
    std::vector<Tensor> blocks;
    for (std::int64_t r = 0, first = 0; r < size(); ++r) {
        const std::int64_t n = x.elements() / size() + (r < x.elements() % size() ? 1 : 0);
        blocks.push_back(flat(x, first, n));
        first += n;
    }
    const Tensor& own = blocks[static_cast<std::size_t>(rank())];
    reduce_block(stream, blocks, own, largest);
    exchange("the sum over the ranks", stream, std::vector<Tensor>(blocks.size(), own), blocks);
}

void NcclCommunicator::all_reduce(Stream& stream, const Tensor& x) {
    check_all_reduce(x);
    if (size() == 1 || x.elements() == 0) return;
    stream.wait(*last_sum_);
    const std::size_t each = static_cast<std::size_t>(size()) * size_of(x.dtype()) + wide_bytes(x.dtype());
    if (static_cast<std::size_t>(x.elements()) * each <= kSmallReduction) {
        reduce_small(stream, x);
        return stream.record(*last_sum_);
    }
    const std::int64_t block = per_chunk(x.dtype(), x.bytes());
    for (std::int64_t first = 0; first < x.elements(); first += block * size())
        reduce_chunk(stream, flat(x, first, std::min(block * size(), x.elements() - first)), block);
    stream.record(*last_sum_);
}

void NcclCommunicator::reduce_scatter(Stream& stream, const Tensor& x, const Tensor& shard) {
    check_reduce_scatter(x, shard, size());
    stream.wait(*last_sum_);
    const std::int64_t length = shard.elements(), block = per_chunk(x.dtype(), x.bytes());
    for (std::int64_t first = 0; first < length; first += block) {
        const std::int64_t n = std::min(block, length - first);
        std::vector<Tensor> blocks;
        for (std::int64_t r = 0; r < size(); ++r) blocks.push_back(flat(x, r * length + first, n));
        reduce_block(stream, blocks, flat(shard, first, n), n);
    }
    stream.record(*last_sum_);
}

void NcclCommunicator::all_gather(Stream& stream, const Tensor& shard, const Tensor& x) {
    check_all_gather(shard, x, rank(), size());
    if (shard.bytes() == 0) return;
    NcclComm& nccl = comm();
    nccl.call("all_gather",
              [&] { return library_.all_gather(shard.raw(), x.raw(), shard.bytes(), ncclUint8, nccl.handle(), cuda::native(stream)); });
}

void NcclCommunicator::all_to_all(Stream& stream, const Tensor& x, const Tensor& y) {
    check_all_to_all(x, y, size());
    const std::int64_t block = x.elements() / size();
    if (block == 0) return;
    std::vector<Tensor> out, in;
    for (std::int64_t r = 0; r < size(); ++r) {
        out.push_back(flat(x, r * block, block));
        in.push_back(flat(y, r * block, block));
    }
    exchange("all_to_all", stream, out, in);
}

void NcclCommunicator::broadcast(Stream& stream, const Tensor& x, int root) {
    check_operand("broadcast", x);
    check_peer("broadcast", root, size());
    if (x.bytes() == 0) return;
    NcclComm& nccl = comm();
    nccl.call("broadcast",
              [&] { return library_.broadcast(x.raw(), x.raw(), x.bytes(), ncclUint8, root, nccl.handle(), cuda::native(stream)); });
}

void NcclCommunicator::send(Stream& stream, const Tensor& x, int peer, int tag) {
    check_operand("send", x);
    check_peer("send", peer, size());
    links_.send(stream, x, peer, tag);
}

std::unique_ptr<Transfer> NcclCommunicator::start_send(Stream& stream, const Tensor& x, int peer, int tag) {
    check_operand("start_send", x);
    check_peer("start_send", peer, size());
    return links_.start_send(stream, x, peer, tag);
}

void NcclCommunicator::recv(Stream& stream, const Tensor& x, int peer, int tag) {
    check_operand("recv", x);
    check_peer("recv", peer, size());
    links_.recv(stream, x, peer, tag);
}

}  // namespace tandem
