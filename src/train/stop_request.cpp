#include "src/train/stop_request.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "kernels/base/error.h"

namespace tandem {
namespace {

volatile std::sig_atomic_t raised_flag = 0;
constexpr std::array kSignals = {SIGUSR1, SIGTERM, SIGINT};
std::array<struct sigaction, kSignals.size()> previous;

void on_signal(int signal) {
    if (signal == SIGINT && raised_flag != 0) {
        std::signal(SIGINT, SIG_DFL);
        std::raise(SIGINT);
        return;
    }
    raised_flag = 1;
}

}  // namespace

StopRequest::StopRequest() {
    raised_flag = 0;
    struct sigaction action = {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
        if (sigaction(kSignals[i], &action, &previous[i]) != 0) fail(Failure::Run, "sigaction: {}", std::strerror(errno));
    }
}

StopRequest::~StopRequest() {
    for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &previous[i], nullptr);
}

bool StopRequest::raised() const { return raised_flag != 0; }

}  // namespace tandem
