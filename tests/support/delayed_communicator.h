// A group whose every operation comes a random while late, to shake the order in which ranks meet. Results must not change.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <utility>

#include "parallel/communicator.h"

namespace tandem::test {

struct Delays {
    std::uint64_t seed = 0;  ///< the same for all ranks: each draws its own numbers
    /// Most operations: nothing. Of the rest most are up to this long, one in sixteen ten times as long.
    std::chrono::microseconds longest{200};
};

class DelayedCommunicator : public Communicator {
public:
    DelayedCommunicator(std::unique_ptr<Communicator> group, Delays delays)
        : owned_(std::move(group)),
          group_(*owned_),
          delays_(delays),
          random_(delays.seed * 1009 + static_cast<std::uint64_t>(group_.rank())) {}
    DelayedCommunicator(Communicator& group, Delays delays)
        : group_(group), delays_(delays), random_(delays.seed * 1009 + static_cast<std::uint64_t>(group.rank())) {}

    [[nodiscard]] int rank() const override { return group_.rank(); }
    [[nodiscard]] int size() const override { return group_.size(); }
    [[nodiscard]] std::string_view name() const override { return group_.name(); }
    [[nodiscard]] std::unique_ptr<Communicator> split(int color, int key) override {
        Delays own = delays_;
        own.seed = delays_.seed * 31 + static_cast<std::uint64_t>(color) + 1;
        return std::make_unique<DelayedCommunicator>(late().split(color, key), own);
    }
    void connect_neighbours() override { late().connect_neighbours(); }
    [[nodiscard]] std::size_t buffer_bytes(std::size_t largest) const override { return group_.buffer_bytes(largest); }
    void lend(const Tensor& buffer) override { group_.lend(buffer); }

    void all_reduce(Stream& s, const Tensor& x) override { late().all_reduce(s, x); }
    void reduce_scatter(Stream& s, const Tensor& x, const Tensor& shard) override { late().reduce_scatter(s, x, shard); }
    void all_gather(Stream& s, const Tensor& shard, const Tensor& x) override { late().all_gather(s, shard, x); }
    void all_to_all(Stream& s, const Tensor& x, const Tensor& y) override { late().all_to_all(s, x, y); }
    void broadcast(Stream& s, const Tensor& x, int root) override { late().broadcast(s, x, root); }
    void send(Stream& s, const Tensor& x, int peer, int tag) override { late().send(s, x, peer, tag); }
    [[nodiscard]] std::unique_ptr<Transfer> start_send(Stream& s, const Tensor& x, int peer, int tag) override {
        return std::make_unique<LateTransfer>(late().start_send(s, x, peer, tag), *this);
    }
    void recv(Stream& s, const Tensor& x, int peer, int tag) override { late().recv(s, x, peer, tag); }

    void barrier() override { late().barrier(); }
    void sum(std::span<double> values) override { late().sum(values); }
    void sum(std::span<std::int64_t> values) override { late().sum(values); }
    void max(std::span<double> values) override { late().max(values); }
    void max(std::span<std::int64_t> values) override { late().max(values); }
    void broadcast(std::string& text, int root) override { late().broadcast(text, root); }
    [[nodiscard]] std::vector<std::string> gather(const std::string& text) override { return late().gather(text); }

private:
    class LateTransfer final : public Transfer {
    public:
        LateTransfer(std::unique_ptr<Transfer> transfer, DelayedCommunicator& group) : transfer_(std::move(transfer)), group_(group) {}
        void wait() override {
            static_cast<void>(group_.late());
            transfer_->wait();
        }

    private:
        std::unique_ptr<Transfer> transfer_;
        DelayedCommunicator& group_;
    };

    Communicator& late() {
        const std::uint64_t draw = random_();
        if (draw % 4 == 0) {
            const auto most = static_cast<std::uint64_t>(delays_.longest.count()) * (draw / 4 % 16 == 0 ? 10 : 1);
            std::this_thread::sleep_for(std::chrono::microseconds(draw / 64 % (most + 1)));
        }
        return group_;
    }

    std::unique_ptr<Communicator> owned_;
    Communicator& group_;
    Delays delays_;
    std::mt19937_64 random_;
};

}  // namespace tandem::test
