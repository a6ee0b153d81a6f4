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

}  // namespace

std::string on_rank_zero(Communicator& world, const std::function<std::string()>& work) {
    std::string wire;
    if (world.rank() == 0) wire = run(work);
    world.broadcast(wire, 0);
    const auto line = wire.find('\n');
    require(line != std::string::npos, "rank 0 sent no outcome");
    const int code = std::stoi(wire.substr(0, line));
    if (code != 0) throw Error(static_cast<Failure>(code), wire.substr(line + 1));
    return wire.substr(line + 1);
}

void on_rank_zero(Communicator& world, const std::function<void()>& work) {
    on_rank_zero(world, std::function<std::string()>([&] {
                     work();
                     return std::string();
                 }));
}

}  // namespace tandem
