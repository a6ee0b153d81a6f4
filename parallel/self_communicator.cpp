// The group of one rank: every collective is a copy or nothing.
#include <cstring>

#include "parallel/communicator.h"

namespace tandem {
namespace {

void copy(const char* verb, const Tensor& from, const Tensor& to) {
    require(from.dtype() == to.dtype() && from.elements() == to.elements() && from.contiguous() && to.contiguous(),
            "{} in a group of one: {} and {} must be contiguous and equal in type and size", verb, from.str(), to.str());
    if (from.raw() != to.raw() && from.bytes() > 0) std::memmove(to.raw(), from.raw(), from.bytes());
}

class SelfCommunicator final : public Communicator {
public:
    [[nodiscard]] int rank() const override { return 0; }
    [[nodiscard]] int size() const override { return 1; }
    [[nodiscard]] std::string_view name() const override { return "self"; }
    [[nodiscard]] std::unique_ptr<Communicator> split(int color, int /*key*/) override {
        require(color >= 0, "split: colour {} is negative", color);
        return make_self_communicator();
    }

    [[nodiscard]] std::size_t buffer_bytes(std::size_t /*largest*/) const override { return 0; }
    void lend(const Tensor& /*buffer*/) override {}

    void all_reduce(Stream& /*stream*/, const Tensor& x) override {
        require(x.contiguous() && x.dtype() != DType::U8, "all_reduce needs a contiguous tensor of a type that is summed, not {}", x.str());
    }
    void reduce_scatter(Stream& stream, const Tensor& x, const Tensor& shard) override {
        stream.synchronize();
        copy("reduce_scatter", x, shard);
    }
    void all_gather(Stream& stream, const Tensor& shard, const Tensor& x) override {
        stream.synchronize();
        copy("all_gather", shard, x);
    }
    void all_to_all(Stream& stream, const Tensor& x, const Tensor& y) override {
        stream.synchronize();
        copy("all_to_all", x, y);
    }
    void broadcast(Stream& /*stream*/, const Tensor& /*x*/, int root) override { only(root, "broadcast"); }
    void send(Stream& /*stream*/, const Tensor& x, int peer, int /*tag*/) override {
        fail(Failure::Run, "send of {} to rank {}: a group of one rank has no peer", x.str(), peer);
    }
    [[nodiscard]] std::unique_ptr<Transfer> start_send(Stream& /*stream*/, const Tensor& x, int peer, int /*tag*/) override {
        fail(Failure::Run, "send of {} to rank {}: a group of one rank has no peer", x.str(), peer);
    }
    void recv(Stream& /*stream*/, const Tensor& x, int peer, int /*tag*/) override {
        fail(Failure::Run, "recv of {} from rank {}: a group of one rank has no peer", x.str(), peer);
    }

    void barrier() override {}
    void sum(std::span<double> /*values*/) override {}
    void sum(std::span<std::int64_t> /*values*/) override {}
    void max(std::span<double> /*values*/) override {}
    void max(std::span<std::int64_t> /*values*/) override {}
    void broadcast(std::string& /*text*/, int root) override { only(root, "broadcast"); }
    [[nodiscard]] std::vector<std::string> gather(const std::string& text) override { return {text}; }

private:
    static void only(int root, const char* verb) { require(root == 0, "{}: there is no rank {} in a group of one", verb, root); }
};

}  // namespace

std::unique_ptr<Communicator> make_self_communicator() { return std::make_unique<SelfCommunicator>(); }

}  // namespace tandem
