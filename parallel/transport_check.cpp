#include "parallel/transport_check.h"

#include <chrono>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

namespace tandem {
namespace {

/// How long another rank may take for a message of this size, seconds: starting a library's first connection is in it.
constexpr double kPatience = 60;

using Values = std::vector<float>;

class DeviceValues {
public:
    DeviceValues(Backend& backend, Stream& stream, std::int64_t elements)
        : backend_(backend),
          stream_(stream),
          bytes_(static_cast<std::size_t>(elements) * sizeof(float)),
          tensor_(backend.reserve(bytes_), DType::F32, Shape{elements}) {}
    /// Giving memory back waits for the device, and so for a transport that hangs: who unwinds leaves it.
    ~DeviceValues() {
        if (std::uncaught_exceptions() == 0) backend_.unreserve(tensor_.raw(), bytes_);
    }
    DeviceValues(const DeviceValues&) = delete;
    DeviceValues& operator=(const DeviceValues&) = delete;

    [[nodiscard]] const Tensor& tensor() const { return tensor_; }
    void set(const Values& values) { backend_.copy_from_host(stream_, values.data(), tensor_); }
    [[nodiscard]] Values get() const {
        Values values(static_cast<std::size_t>(tensor_.elements()));
        backend_.copy_to_host(stream_, tensor_, values.data());
        stream_.synchronize();
        return values;
    }

private:
    Backend& backend_;
    Stream& stream_;
    std::size_t bytes_;
    Tensor tensor_;
};

/// Whole numbers, whose sums over ranks are exact in whatever order they are formed.
float value(int rank, std::int64_t i) { return static_cast<float>((i * 7 + std::int64_t{rank} * 131) % 1021); }

float value_sum(int ranks, std::int64_t i) {
    float sum = 0;
    for (int r = 0; r < ranks; ++r) sum += value(r, i);
    return sum;
}

Values values(std::int64_t n, const std::function<float(std::int64_t)>& f) {
    Values out(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) out[static_cast<std::size_t>(i)] = f(i);
    return out;
}

/// Waits for the device, but not for ever: a transport that does not work may as well hang as fail.
void wait(Backend& backend, Stream& stream, const char* verb) {
    const auto done = backend.make_event();
    stream.record(*done);
    const auto start = std::chrono::steady_clock::now();
    while (!done->done()) {
        if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > kPatience)
            fail(Failure::Run, "{} of known data has not ended after {} s", verb, kPatience);
        std::this_thread::yield();
    }
}

/// Empty where all is as expected.
std::string difference(const char* verb, const Values& got, const Values& expected) {
    for (std::size_t i = 0; i < got.size(); ++i) {
        if (got[i] != expected[i])
            return fmt::format("{} of known data: element {} of {} is {} instead of {}", verb, i, got.size(), got[i], expected[i]);
    }
    return "";
}

class Verification {
public:
    Verification(Backend& backend, Stream& stream, Communicator& group) : backend_(backend), stream_(stream), group_(group) {}

    /// Of as many values as a norm has, which may take another way.
    void small_sum() {
        DeviceValues x(backend_, stream_, 1);
        x.set({value(rank(), 1)});
        group_.all_reduce(stream_, x.tensor());
        check("all_reduce", x, {value_sum(ranks(), 1)});
    }

    void sums() {
        const std::int64_t n = kBlock * ranks();
        DeviceValues x(backend_, stream_, n), shard(backend_, stream_, kBlock);
        const Values own = values(n, [&](std::int64_t i) { return value(rank(), i); });
        const Values sum = values(n, [&](std::int64_t i) { return value_sum(ranks(), i); });
        x.set(own);
        group_.all_reduce(stream_, x.tensor());
        check("all_reduce", x, sum);
        x.set(own);
        group_.reduce_scatter(stream_, x.tensor(), shard.tensor());
        check("reduce_scatter", shard, values(kBlock, [&](std::int64_t i) { return value_sum(ranks(), rank() * kBlock + i); }));
        x.set(own);
        group_.all_gather(stream_, shard.tensor(), x.tensor());
        check("all_gather", x, sum);
    }

    /// Both ways at once, as neighbours in a pipeline do it: even tags go forward, odd ones backward.
    void ring() {
        if (ranks() == 1) return;
        const int next = (rank() + 1) % ranks(), previous = (rank() + ranks() - 1) % ranks();
        DeviceValues out(backend_, stream_, kBlock), forward(backend_, stream_, kBlock), backward(backend_, stream_, kBlock);
        out.set(values(kBlock, [&](std::int64_t i) { return value(rank(), i); }));
        auto to_next = group_.start_send(stream_, out.tensor(), next, 0);
        auto to_previous = group_.start_send(stream_, out.tensor(), previous, 1);
        group_.recv(stream_, forward.tensor(), previous, 0);
        group_.recv(stream_, backward.tensor(), next, 1);
        check("a message to the next rank", forward, values(kBlock, [&](std::int64_t i) { return value(previous, i); }));
        check("a message to the previous rank", backward, values(kBlock, [&](std::int64_t i) { return value(next, i); }));
        to_next->wait();
        to_previous->wait();
    }

    [[nodiscard]] const std::string& wrong() const { return wrong_; }

private:
    static constexpr std::int64_t kBlock = 10007;
    [[nodiscard]] int rank() const { return group_.rank(); }
    [[nodiscard]] int ranks() const { return group_.size(); }
    void check(const char* verb, const DeviceValues& x, const Values& expected) {
        wait(backend_, stream_, verb);
        // A rank that stopped here would leave the others waiting.
        if (wrong_.empty()) wrong_ = difference(verb, x.get(), expected);
    }

    Backend& backend_;
    Stream& stream_;
    Communicator& group_;
    std::string wrong_;
};

}  // namespace

std::string verify_transport(Backend& backend, Stream& stream, Communicator& group) {
    Verification verification(backend, stream, group);
    verification.sums();
    verification.ring();
    return verification.wrong();
}

void prove_groups(Backend& backend, Stream& stream, Mesh& mesh, const GroupUse& use) {
    const auto prove = [&](std::string_view name, Communicator& group, void (Verification::*what)()) {
        if (group.size() == 1) return;
        Verification verification(backend, stream, group);
        (verification.*what)();
        if (!verification.wrong().empty()) fail(Failure::Run, "between the {} ranks: {}", name, verification.wrong());
    };
    // All ranks take the groups in this order, so that none waits for one that waits for it.
    prove("data-parallel", mesh.data(), &Verification::sums);
    prove("tensor-parallel", mesh.tensor(), &Verification::sums);
    prove("pipeline", mesh.pipeline(), &Verification::ring);
    if (use.pipeline) prove("pipeline", mesh.pipeline(), &Verification::sums);
    if (use.ends) prove("first and last pipeline", mesh.ends(), &Verification::sums);
    prove("job's", mesh.world(), &Verification::small_sum);
    mesh.world().barrier();
}

double all_reduce_rate(Backend& backend, Stream& stream, Communicator& group, std::size_t bytes) {
    const auto elements = static_cast<std::int64_t>(bytes / sizeof(float));
    DeviceValues x(backend, stream, elements);
    x.set(Values(static_cast<std::size_t>(elements), 0.0F));
    double seconds = 0;
    for (int round = 0; round < 2; ++round) {  // the first one warms up
        group.barrier();
        const auto start = std::chrono::steady_clock::now();
        group.all_reduce(stream, x.tensor());
        stream.synchronize();
        seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    group.max(std::span(&seconds, 1));
    return static_cast<double>(bytes) / std::max(seconds, 1e-9);
}

}  // namespace tandem
