#include "parallel/live_transport.h"

#include <atomic>

namespace tandem {
namespace {

std::atomic<const TransportPlugin*> live = nullptr;

}  // namespace

void set_live_transport(const TransportPlugin* plugin) { live = plugin; }

std::string live_transport_error() {
    const TransportPlugin* plugin = live;
    return plugin == nullptr ? "" : plugin->background_error();
}

void abort_live_transport() {
    if (const TransportPlugin* plugin = live) plugin->abort_all();
}

}  // namespace tandem
