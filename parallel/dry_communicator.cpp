#include "parallel/dry_communicator.h"

#include "parallel/reduction_buffer.h"

namespace tandem {

std::unique_ptr<Communicator> DryCommunicator::split(int, int) { fail(Failure::Run, "a dry group is not split"); }

std::size_t DryCommunicator::buffer_bytes(std::size_t largest) const { return reduction_buffer_bytes(largest, size_, kReductionChunk); }

std::unique_ptr<Transfer> DryCommunicator::start_send(Stream&, const Tensor& x, int, int) {
    class Done final : public Transfer {
        void wait() override {}
    };
    count("send", x);
    return std::make_unique<Done>();
}

std::vector<std::string> DryCommunicator::gather(const std::string& text) {
    return std::vector<std::string>(static_cast<std::size_t>(size_), text);
}

}  // namespace tandem
