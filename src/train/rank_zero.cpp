#include "src/train/rank_zero.h"

#include <new>

#include "kernels/base/error.h"

namespace tandem {
namespace {

/// Text on the wire: one line with the failure's code (0 = none), then the result or the message.
std::string run(const std::function<std::string()>& work) {
    try {
        return "0\n" + work();
    } catch (const Error& error) {
        return std::to_string(static_cast<int>(error.failure())) + "\n" + error.what();
    } catch (const std::bad_alloc&) {
        return std::to_string(static_cast<int>(Failure::OutOfMemory)) + "\nout of memory on the host";
    } catch (const std::exception& error) {
        return std::to_string(static_cast<int>(Failure::Run)) + "\n" + error.what();
    }
}

/// The text of run(), or what it failed with, told by `rank`.
std::string result_of(const std::string& wire, int rank) {
    const auto line = wire.find('\n');
    require(line != std::string::npos, "rank {} sent no outcome", rank);
    const int code = std::stoi(wire.substr(0, line));
    if (code == 0) return wire.substr(line + 1);
    throw Error(static_cast<Failure>(code), (rank > 0 ? fmt::format("rank {}: ", rank) : "") + wire.substr(line + 1));
}

std::function<std::string()> without_text(const std::function<void()>& work) {
    return [&work] {
        work();
        return std::string();
    };
}

}  // namespace

std::string on_rank_zero(Communicator& world, const std::function<std::string()>& work) {
    std::string wire;
    if (world.rank() == 0) wire = run(work);
    world.broadcast(wire, 0);
    return result_of(wire, 0);
}

void on_rank_zero(Communicator& world, const std::function<void()>& work) { on_rank_zero(world, without_text(work)); }

void on_every_rank(Communicator& world, const std::function<void()>& work) {
    const auto outcomes = world.gather(run(without_text(work)));
    for (std::size_t r = 0; r < outcomes.size(); ++r) (void)result_of(outcomes[r], static_cast<int>(r));
}

}  // namespace tandem
