// Communicator over MPI, for tensors in host memory. Only files of parallel/ include this.
#pragma once

#include <mpi.h>

#include "parallel/communicator.h"
#include "parallel/reduction_buffer.h"

namespace tandem {

/// Bytes of one MPI message: MPI counts in int, and several versions fail silently near 2 GiB.
inline constexpr std::size_t kMessageLimit = std::size_t{512} << 20U;

struct MpiLimits {
    std::size_t reduction_chunk = kReductionChunk;
    std::size_t message = kMessageLimit;
};

/// Works on a private duplicate of `comm`: its messages meet nobody else's. Creating one is collective.
/// Sums: all-to-all of blocks, local sum in rank order, all-gather; small tensors by gathering everything everywhere. The
/// result's bits depend neither on which way was taken nor on the chunk.
class MpiCommunicator final : public Communicator {
public:
    explicit MpiCommunicator(MPI_Comm comm, MpiLimits limits = {});
    ~MpiCommunicator() override;
    MpiCommunicator(const MpiCommunicator&) = delete;
    MpiCommunicator& operator=(const MpiCommunicator&) = delete;

    [[nodiscard]] int rank() const override { return rank_; }
    [[nodiscard]] int size() const override { return size_; }
    [[nodiscard]] std::string_view name() const override { return "mpi"; }
    [[nodiscard]] std::unique_ptr<Communicator> split(int color, int key) override;

    [[nodiscard]] std::size_t buffer_bytes(std::size_t largest) const override;
    void lend(const Tensor& buffer) override { lent_ = buffer; }

    void all_reduce(Stream& stream, const Tensor& x) override;
    void reduce_scatter(Stream& stream, const Tensor& x, const Tensor& shard) override;
    void all_gather(Stream& stream, const Tensor& shard, const Tensor& x) override;
    void all_to_all(Stream& stream, const Tensor& x, const Tensor& y) override;
    void broadcast(Stream& stream, const Tensor& x, int root) override;
    void send(Stream& stream, const Tensor& x, int peer, int tag) override;
    [[nodiscard]] std::unique_ptr<Transfer> start_send(Stream& stream, const Tensor& x, int peer, int tag) override;
    void recv(Stream& stream, const Tensor& x, int peer, int tag) override;

    void barrier() override;
    void sum(std::span<double> values) override;
    void sum(std::span<std::int64_t> values) override;
    void max(std::span<double> values) override;
    void max(std::span<std::int64_t> values) override;
    void broadcast(std::string& text, int root) override;
    [[nodiscard]] std::vector<std::string> gather(const std::string& text) override;

private:
    std::byte* scratch(std::size_t bytes);
    /// Sends to one rank while receiving from another, in messages of at most the limit.
    void exchange(const std::byte* out, std::size_t out_bytes, int to, std::byte* in, std::size_t in_bytes, int from);
    void received(const MPI_Status& status, std::size_t expected, int from) const;
    void broadcast_bytes(std::byte* data, std::size_t bytes, int root);
    void reduce_small(DType dtype, std::byte* x, std::size_t count);
    void reduce_chunk(DType dtype, std::byte* x, std::size_t count);
    void reduce(DType dtype, std::byte* x, std::size_t count);
    /// sum over ranks of the `count` elements at blocks[r] of each, for r = rank(), into out.
    void reduce_block(DType dtype, std::span<std::byte* const> blocks, std::span<const std::size_t> counts, std::byte* out);
    template <class T>
    void maximum(std::span<T> values);
    [[nodiscard]] int after(int step) const { return (rank_ + step) % size_; }
    [[nodiscard]] int before(int step) const { return (rank_ + size_ - step) % size_; }

    MPI_Comm comm_ = MPI_COMM_NULL;
    MpiLimits limits_;
    int rank_ = 0;
    int size_ = 1;
    Tensor lent_;
    std::vector<std::byte> scratch_;
};

}  // namespace tandem
