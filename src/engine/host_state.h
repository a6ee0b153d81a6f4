// State that lies in host memory and visits the device in turns.
#pragma once

#include <cstddef>
#include <exception>

#include "kernels/base/backend.h"

namespace tandem {

/// Zeroed host memory that `backend` copies from and to. In a dry run nothing lies there.
class HostState {
public:
    HostState(Backend& backend, std::size_t bytes)
        : backend_(backend), bytes_(bytes), base_(static_cast<std::byte*>(backend.reserve_host(bytes))) {}
    /// Giving it back waits for the device, which may wait for other ranks: a rank that unwinds leaves it to the system.
    ~HostState() {
        if (std::uncaught_exceptions() == 0) backend_.unreserve_host(base_, bytes_);
    }
    HostState(const HostState&) = delete;
    HostState& operator=(const HostState&) = delete;

    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    [[nodiscard]] std::byte* at(std::size_t offset) const { return base_ + offset; }

private:
    Backend& backend_;
    std::size_t bytes_;
    std::byte* base_;
};

}  // namespace tandem
