// Communicator for GPUs over NCCL. Compiled into libtandem_cuda.so.
#pragma once

#include <memory>

#include "kernels/base/backend.h"
#include "parallel/communicator.h"
#include "parallel/nccl/nccl_links.h"

namespace tandem {

/// Sums: every rank gets the parts of its block from all others and adds them up in rank order (parallel/nccl/device_sum.h), in chunks, and
/// blocks are sent around where everybody needs them: the same bits whatever NCCL's topology, the same as of MpiCommunicator, and as many
/// bytes as a ring sends, within a host as between hosts. Types: what the backend adds. Everything else is bytes. All is enqueued; the
/// host waits only where groups are made: for sums and gathers at the first of them, for messages in connect_neighbours().
/// Host values go over `control`.
class NcclCommunicator final : public Communicator {
public:
    /// `library` and `backend` must outlive it. `control`: the same ranks over host memory. `channels`: of this group; those split from it
    /// have kNcclChannels.
    NcclCommunicator(const NcclLibrary& library, Backend& backend, std::unique_ptr<Communicator> control, int channels);
    ~NcclCommunicator() override;
    NcclCommunicator(const NcclCommunicator&) = delete;
    NcclCommunicator& operator=(const NcclCommunicator&) = delete;

    [[nodiscard]] int rank() const override { return control_->rank(); }
    [[nodiscard]] int size() const override { return control_->size(); }
    [[nodiscard]] std::string_view name() const override { return "nccl"; }
    [[nodiscard]] std::unique_ptr<Communicator> split(int color, int key) override;
    void connect_neighbours() override { links_.connect(*control_); }

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

    void barrier() override { control_->barrier(); }
    void sum(std::span<double> values) override { control_->sum(values); }
    void sum(std::span<std::int64_t> values) override { control_->sum(values); }
    void max(std::span<double> values) override { control_->max(values); }
    void max(std::span<std::int64_t> values) override { control_->max(values); }
    void broadcast(std::string& text, int root) override { control_->broadcast(text, root); }
    [[nodiscard]] std::vector<std::string> gather(const std::string& text) override { return control_->gather(text); }

private:
    NcclComm& comm();
    std::byte* scratch(std::size_t bytes);
    /// Elements of a block that are added up at a time, of a tensor of that many bytes.
    [[nodiscard]] std::int64_t per_chunk(DType dtype, std::size_t bytes) const;
    void reduce_small(Stream& stream, const Tensor& x);
    void reduce_chunk(Stream& stream, const Tensor& x, std::int64_t largest);
    /// blocks[r] to rank r; what the others sent for this rank, added up, into `out`. `largest`: elements of the largest block.
    void reduce_block(Stream& stream, std::span<const Tensor> blocks, const Tensor& out, std::int64_t largest);
    /// out[r] to rank r, in[r] from rank r, all at once; what is empty, or here already (out[r] is in[r]), does not travel.
    void exchange(const char* verb, Stream& stream, std::span<const Tensor> out, std::span<const Tensor> in);

    const NcclLibrary& library_;
    Backend& backend_;
    std::unique_ptr<Communicator> control_;
    int channels_;
    NcclLinks links_;
    std::unique_ptr<NcclComm> comm_;
    Tensor lent_;
    std::unique_ptr<Event> last_sum_;  ///< sums on other streams use the same buffer
    std::byte* own_ = nullptr;
    std::size_t own_bytes_ = 0;
};

}  // namespace tandem
