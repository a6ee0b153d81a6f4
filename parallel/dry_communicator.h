// The group as a dry run sees it: nothing is sent, calls and bytes are counted, buffers are as large as the real ones.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <tuple>

#include "parallel/communicator.h"

namespace tandem {

/// Calls of each collective by its name and the bytes of its (whole) tensor.
using TrafficCounts = std::map<std::pair<std::string_view, std::size_t>, std::int64_t>;

/// Rank `rank` of `size`; models communication over MPI. Host values stay as they are: as if this rank were alone.
class DryCommunicator final : public Communicator {
public:
    DryCommunicator(int rank, int size) : rank_(rank), size_(size) {}
    [[nodiscard]] const TrafficCounts& traffic() const { return traffic_; }
    void clear() { traffic_.clear(); }

    [[nodiscard]] int rank() const override { return rank_; }
    [[nodiscard]] int size() const override { return size_; }
    [[nodiscard]] std::string_view name() const override { return "dry"; }
    /// Not for dry runs: the planner makes each group as large as it is.
    [[nodiscard]] std::unique_ptr<Communicator> split(int color, int key) override;
    [[nodiscard]] std::size_t buffer_bytes(std::size_t largest) const override;
    void lend(const Tensor& /*buffer*/) override {}

    void all_reduce(Stream&, const Tensor& x) override { count("all_reduce", x); }
    void reduce_scatter(Stream&, const Tensor& x, const Tensor&) override { count("reduce_scatter", x); }
    void all_gather(Stream&, const Tensor&, const Tensor& x) override { count("all_gather", x); }
    void all_to_all(Stream&, const Tensor& x, const Tensor&) override { count("all_to_all", x); }
    void broadcast(Stream&, const Tensor& x, int) override { count("broadcast", x); }
    void send(Stream&, const Tensor& x, int, int) override { count("send", x); }
    [[nodiscard]] std::unique_ptr<Transfer> start_send(Stream&, const Tensor& x, int, int) override;
    void recv(Stream&, const Tensor& x, int, int) override { count("recv", x); }

    void barrier() override {}
    void sum(std::span<double>) override {}
    void sum(std::span<std::int64_t>) override {}
    void max(std::span<double>) override {}
    void max(std::span<std::int64_t>) override {}
    void broadcast(std::string&, int) override {}
    [[nodiscard]] std::vector<std::string> gather(const std::string& text) override;

private:
    void count(std::string_view verb, const Tensor& x) { ++traffic_[{verb, x.bytes()}]; }
    int rank_, size_;
    TrafficCounts traffic_;
};

}  // namespace tandem
