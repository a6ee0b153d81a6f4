#include "parallel/mpi_communicator.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <thread>

#include "parallel/collective_operands.h"
#include "parallel/idle_task.h"
#include "parallel/mpi_check.h"
#include "parallel/mpi_transfer.h"
#include "parallel/ordered_sum.h"
#include "parallel/whereabouts.h"

namespace tandem {
namespace {

constexpr int kExchangeTag = 0;

int as_int(std::size_t bytes) { return static_cast<int>(bytes); }

std::byte* bytes_of(const Tensor& x) { return static_cast<std::byte*>(x.raw()); }

/// Until the message is there. What it waits for may wait for something that this rank has to look after.
MPI_Status wait(MPI_Request& request) {
    const WaitingForRanks waiting;
    MPI_Status status;
    int done = 0;
    while (!done && IdleTask::any_pending()) {
        mpi_check(MPI_Test(&request, &done, &status), "MPI_Irecv");
        IdleTask::look_at_all();
        std::this_thread::yield();
    }
    if (!done) mpi_check(MPI_Wait(&request, &status), "MPI_Irecv");
    return status;
}

}  // namespace

MpiCommunicator::MpiCommunicator(MPI_Comm comm, MpiLimits limits) : limits_(limits) {
    require(limits.reduction_chunk >= 64 && limits.message >= 1, "MPI limits of {} and {} bytes are too small", limits.reduction_chunk,
            limits.message);
    const WaitingForRanks waiting;
    mpi_check(MPI_Comm_dup(comm, &comm_), "MPI_Comm_dup");
    mpi_check(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    mpi_check(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
    mpi_check(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
}

MpiCommunicator::~MpiCommunicator() {
    int finalized = 0;
    // Freeing is collective: a rank that unwinds alone must reach its error message, not wait for the others here.
    if (std::uncaught_exceptions() > 0 || MPI_Finalized(&finalized) != MPI_SUCCESS || finalized) return;
    const WaitingForRanks waiting;
    MPI_Comm_free(&comm_);
}

std::unique_ptr<Communicator> MpiCommunicator::split(int color, int key) {
    require(color >= 0, "split: colour {} is negative", color);
    const WaitingForRanks waiting;
    MPI_Comm part = MPI_COMM_NULL;
    mpi_check(MPI_Comm_split(comm_, color, key, &part), "MPI_Comm_split");
    auto group = std::make_unique<MpiCommunicator>(part, limits_);
    mpi_check(MPI_Comm_free(&part), "MPI_Comm_free");
    return group;
}

std::size_t MpiCommunicator::buffer_bytes(std::size_t largest) const {
    return reduction_buffer_bytes(largest, size_, limits_.reduction_chunk);
}

std::byte* MpiCommunicator::scratch(std::size_t bytes) {
    if (lent_ && lent_.bytes() >= bytes) return bytes_of(lent_);
    if (scratch_.size() < bytes) scratch_.resize(bytes);
    return scratch_.data();
}

void MpiCommunicator::received(const MPI_Status& status, std::size_t expected, int from) const {
    int count = 0;
    mpi_check(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count");
    require(static_cast<std::size_t>(count) == expected,
            "rank {} sent {} bytes where rank {} expects {}: the ranks disagree about a tensor's shape or type", from, count, rank_,
            expected);
}

void MpiCommunicator::exchange(const std::byte* out, std::size_t out_bytes, int to, std::byte* in, std::size_t in_bytes, int from) {
    const WaitingForRanks waiting;
    const std::size_t limit = limits_.message;
    for (std::size_t sent = 0, got = 0; sent < out_bytes || got < in_bytes;) {
        const std::size_t s = std::min(limit, out_bytes - sent);
        const std::size_t r = std::min(limit, in_bytes - got);
        MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
        MPI_Status statuses[2];
        if (r > 0) mpi_check(MPI_Irecv(in + got, as_int(r), MPI_BYTE, from, kExchangeTag, comm_, &requests[0]), "MPI_Irecv");
        if (s > 0) mpi_check(MPI_Isend(out + sent, as_int(s), MPI_BYTE, to, kExchangeTag, comm_, &requests[1]), "MPI_Isend");
        const int code = MPI_Waitall(2, requests, statuses);
        if (code == MPI_ERR_IN_STATUS) {
            mpi_check(statuses[0].MPI_ERROR, "MPI_Irecv");
            mpi_check(statuses[1].MPI_ERROR, "MPI_Isend");
        }
        mpi_check(code, "MPI_Waitall");
        if (r > 0) received(statuses[0], r, from);
        sent += s;
        got += r;
    }
}

void MpiCommunicator::reduce_block(DType dtype, std::span<std::byte* const> blocks, std::span<const std::size_t> counts, std::byte* out) {
    const std::size_t width = size_of(dtype);
    const auto me = static_cast<std::size_t>(rank_);
    const std::size_t mine = counts[me] * width;
    std::byte* buffer = scratch(mine * static_cast<std::size_t>(size_));
    std::vector<const std::byte*> parts(static_cast<std::size_t>(size_));
    parts[me] = blocks[me];
    for (int step = 1; step < size_; ++step) {
        const auto to = static_cast<std::size_t>(after(step));
        const auto from = static_cast<std::size_t>(before(step));
        parts[from] = buffer + from * mine;
        exchange(blocks[to], counts[to] * width, after(step), buffer + from * mine, mine, before(step));
    }
    ordered_sum(dtype, parts, out, counts[me]);
}

void MpiCommunicator::reduce_small(DType dtype, std::byte* x, std::size_t count) {
    const std::size_t bytes = count * size_of(dtype);
    std::byte* all = scratch(bytes * static_cast<std::size_t>(size_));
    const WaitingForRanks waiting;
    mpi_check(MPI_Allgather(x, as_int(bytes), MPI_BYTE, all, as_int(bytes), MPI_BYTE, comm_), "MPI_Allgather");
    std::vector<const std::byte*> parts;
    for (int r = 0; r < size_; ++r) parts.push_back(all + static_cast<std::size_t>(r) * bytes);
    ordered_sum(dtype, parts, x, count);
}

void MpiCommunicator::reduce_chunk(DType dtype, std::byte* x, std::size_t count) {
    const auto ranks = static_cast<std::size_t>(size_);
    const std::size_t width = size_of(dtype);
    std::vector<std::byte*> blocks;
    std::vector<std::size_t> counts;
    for (std::size_t r = 0, first = 0; r < ranks; ++r) {
        counts.push_back(count / ranks + (r < count % ranks ? 1 : 0));
        blocks.push_back(x + first * width);
        first += counts[r];
    }
    const auto me = static_cast<std::size_t>(rank_);
    reduce_block(dtype, blocks, counts, blocks[me]);
    for (int step = 1; step < size_; ++step) {
        const auto from = static_cast<std::size_t>(before(step));
        exchange(blocks[me], counts[me] * width, after(step), blocks[from], counts[from] * width, before(step));
    }
}

void MpiCommunicator::reduce(DType dtype, std::byte* x, std::size_t count) {
    const std::size_t width = size_of(dtype);
    const auto ranks = static_cast<std::size_t>(size_);
    const std::size_t small = std::min(kSmallReduction, limits_.message) / ranks;
    if (count * width <= small) {
        if (count > 0) reduce_small(dtype, x, count);
        return;
    }
    const std::size_t chunk = std::max(limits_.reduction_chunk / width, ranks);
    for (std::size_t first = 0; first < count; first += chunk) reduce_chunk(dtype, x + first * width, std::min(chunk, count - first));
}

void MpiCommunicator::all_reduce(Stream& stream, const Tensor& x) {
    check_all_reduce(x);
    stream.synchronize();
    reduce(x.dtype(), bytes_of(x), static_cast<std::size_t>(x.elements()));
}

void MpiCommunicator::reduce_scatter(Stream& stream, const Tensor& x, const Tensor& shard) {
    check_reduce_scatter(x, shard, size_);
    stream.synchronize();
    const std::size_t width = size_of(x.dtype());
    const auto ranks = static_cast<std::size_t>(size_);
    const auto block = static_cast<std::size_t>(shard.elements());
    const std::size_t chunk = std::max<std::size_t>(limits_.reduction_chunk / width / ranks, 1);
    std::vector<std::byte*> blocks(ranks);
    for (std::size_t first = 0; first < block; first += chunk) {
        const std::size_t n = std::min(chunk, block - first);
        for (std::size_t r = 0; r < ranks; ++r) blocks[r] = bytes_of(x) + (r * block + first) * width;
        const std::vector<std::size_t> counts(ranks, n);
        reduce_block(x.dtype(), blocks, counts, bytes_of(shard) + first * width);
    }
}

void MpiCommunicator::all_gather(Stream& stream, const Tensor& shard, const Tensor& x) {
    check_all_gather(shard, x, rank_, size_);
    stream.synchronize();
    const std::size_t block = shard.bytes();
    std::byte* own = bytes_of(x) + static_cast<std::size_t>(rank_) * block;
    if (bytes_of(shard) != own && block > 0) std::memcpy(own, shard.raw(), block);
    for (int step = 1; step < size_; ++step) {
        const int from = before(step);
        exchange(own, block, after(step), bytes_of(x) + static_cast<std::size_t>(from) * block, block, from);
    }
}

void MpiCommunicator::all_to_all(Stream& stream, const Tensor& x, const Tensor& y) {
    check_all_to_all(x, y, size_);
    stream.synchronize();
    const std::size_t block = x.bytes() / static_cast<std::size_t>(size_);
    for (int step = 0; step < size_; ++step) {
        std::byte* out = bytes_of(x) + static_cast<std::size_t>(after(step)) * block;
        std::byte* in = bytes_of(y) + static_cast<std::size_t>(before(step)) * block;
        if (step > 0) exchange(out, block, after(step), in, block, before(step));
        else if (block > 0) std::memcpy(in, out, block);
    }
}

void MpiCommunicator::broadcast_bytes(std::byte* data, std::size_t bytes, int root) {
    check_peer("broadcast", root, size_);
    const WaitingForRanks waiting;
    for (std::size_t first = 0; first < bytes; first += limits_.message) {
        const std::size_t n = std::min(limits_.message, bytes - first);
        mpi_check(MPI_Bcast(data + first, as_int(n), MPI_BYTE, root, comm_), "MPI_Bcast");
    }
}

void MpiCommunicator::broadcast(Stream& stream, const Tensor& x, int root) {
    check_operand("broadcast", x);
    stream.synchronize();
    broadcast_bytes(bytes_of(x), x.bytes(), root);
}

void MpiCommunicator::send(Stream& stream, const Tensor& x, int peer, int tag) {
    check_operand("send", x);
    check_peer("send", peer, size_);
    stream.synchronize();
    const WaitingForRanks waiting;
    for (std::size_t first = 0; first < x.bytes(); first += limits_.message) {
        const std::size_t n = std::min(limits_.message, x.bytes() - first);
        mpi_check(MPI_Send(bytes_of(x) + first, as_int(n), MPI_BYTE, peer, tag, comm_), "MPI_Send");
    }
}

std::unique_ptr<Transfer> MpiCommunicator::start_send(Stream& stream, const Tensor& x, int peer, int tag) {
    check_operand("start_send", x);
    check_peer("start_send", peer, size_);
    stream.synchronize();
    auto transfer = std::make_unique<MpiTransfer>();
    for (std::size_t first = 0; first < x.bytes(); first += limits_.message) {
        const std::size_t n = std::min(limits_.message, x.bytes() - first);
        mpi_check(MPI_Isend(bytes_of(x) + first, as_int(n), MPI_BYTE, peer, tag, comm_, transfer->add()), "MPI_Isend");
    }
    transfer->watch();
    return transfer;
}

void MpiCommunicator::recv(Stream& stream, const Tensor& x, int peer, int tag) {
    check_operand("recv", x);
    check_peer("recv", peer, size_);
    stream.synchronize();
    for (std::size_t first = 0; first < x.bytes(); first += limits_.message) {
        const std::size_t n = std::min(limits_.message, x.bytes() - first);
        MPI_Request request = MPI_REQUEST_NULL;
        mpi_check(MPI_Irecv(bytes_of(x) + first, as_int(n), MPI_BYTE, peer, tag, comm_, &request), "MPI_Irecv");
        received(wait(request), n, peer);
    }
}

}  // namespace tandem
