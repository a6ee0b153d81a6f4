// Which NCCL this is written for, and where its versions differ.
#pragma once

#include <nccl.h>

namespace tandem {

static_assert(NCCL_VERSION_CODE >= NCCL_VERSION(2, 19, 0), "NCCL 2.19 or newer is needed");
inline constexpr int kOldestNccl = NCCL_VERSION(2, 19, 0);

/// Calls return before they are complete: a rank can then find out that another one has failed, and give up. The structure says which
/// version it is of, and libraries older and newer than this header understand it. `channels`: the most that NCCL opens.
inline ncclConfig_t nccl_config(int channels) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    config.maxCTAs = channels;
    return config;
}

}  // namespace tandem
