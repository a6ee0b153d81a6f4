// Signals raise a flag and nothing else.
#include "src/train/stop_request.h"

#include <gtest/gtest.h>

#include <csignal>

namespace tandem::test {
namespace {

TEST(StopRequest, SignalsRaiseTheFlag) {
    for (const int signal : {SIGUSR1, SIGTERM, SIGINT}) {
        const StopRequest request;
        EXPECT_FALSE(request.raised());
        std::raise(signal);
        EXPECT_TRUE(request.raised());
    }
}

TEST(StopRequest, ASecondInterruptEndsTheProcess) {
    EXPECT_EXIT(
        {
            const StopRequest request;
            std::raise(SIGINT);
            std::raise(SIGINT);
        },
        testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace tandem::test
