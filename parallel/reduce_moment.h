// When gradients are added up over the data-parallel ranks: what programs say and what buckets are made for.
#pragma once

#include <cstdint>

namespace tandem {

enum class ReduceMoment : std::uint8_t {
    Each,  ///< after each micro-batch: a bucket's whole gradients exist only until then, at micro_batches times the traffic (ZeRO-2)
    Last   ///< once a step, after the last micro-batch: every rank holds all gradients of its units
};

}  // namespace tandem
