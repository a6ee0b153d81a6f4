// What every op receives: which device, in which order, and where temporary bytes come from.
#pragma once

#include "kernels/base/arena.h"
#include "kernels/base/stream.h"

namespace tandem {

class Backend;

struct Context {
    Backend& backend;
    Stream& stream;
    Arena& workspace;  ///< an op gives back what it took before it returns
};

}  // namespace tandem
