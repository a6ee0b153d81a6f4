// How the tensors of devices get from rank to rank: chosen once, when a job starts, by what is there and works.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "parallel/transport_plugin.h"

namespace tandem {

enum class TransportWish : std::uint8_t { Auto, Nccl, Staged };

struct TransportRequest {
    Backend& backend;  ///< of this rank; must outlive the group, and every group split from it
    Stream& stream;
    Communicator& world;  ///< over host memory
    TransportWish wish = TransportWish::Auto;
    std::string card;                                ///< this rank's, unlike those of all other cards of the job
    std::function<const TransportPlugin&()> plugin;  ///< throws Configuration, saying why, where there is none
};

struct DeviceTransport {
    std::unique_ptr<Communicator> world;  ///< all ranks, over their devices' memory
    std::string report;                   ///< "staged (2 ranks share a GPU); all-reduce of 16 MiB at 3.1 GB/s"
};

/// `nccl` where no two ranks share a card, its library is there, and known data comes out right; else `staged`, which is verified, too.
/// The same on every rank. A wish is an order: nccl is tried for ranks that share a card, and where it does not work that is an error
/// (Configuration). Throws Run where staging does not work. Takes less than a second, besides what NCCL's start takes. Collective.
[[nodiscard]] DeviceTransport make_device_communicator(const TransportRequest& request);

}  // namespace tandem
