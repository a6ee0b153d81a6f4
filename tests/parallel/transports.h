// The transports that communicator_test.cpp runs over: each program links one file of cases.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "kernels/base/backend.h"
#include "parallel/communicator.h"

namespace tandem::test {

/// A device of this rank and all ranks of the program as a group over its memory.
struct Transport {
    std::unique_ptr<Backend> backend;
    std::unique_ptr<Stream> stream;
    std::unique_ptr<Communicator> group;
};

struct TransportCase {
    std::string name;
    bool host;  ///< work on the device has run when its call returns
    std::function<Transport()> make;
    bool sums_everything = true;                                          ///< else fp32, bf16 and fp16
    bool notices_sizes = true;                                            ///< a message of another size than its receive is an error
    std::function<std::string()> why_not = [] { return std::string(); };  ///< what keeps it from being made here; empty: nothing
    friend std::ostream& operator<<(std::ostream& out, const TransportCase& x) { return out << x.name; }
};

std::vector<TransportCase> transport_cases();

}  // namespace tandem::test
