#include "parallel/runtime.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "tests/support/ranks.h"

namespace {

using namespace tandem;

TEST(Runtime, OneProcessWithoutALauncherIsARankOfOne) {
    ASSERT_FALSE(test_runtime().launched());
    EXPECT_EQ(test_runtime().size(), 1);
    EXPECT_EQ(test_runtime().local_size(), 1);
    EXPECT_GE(test_runtime().threads_per_rank(), 1);
    EXPECT_FALSE(test_runtime().hostname().empty());
    EXPECT_EQ(test_world().name(), "self");
}

TEST(Runtime, TheEnvironmentIsReadThroughOneFunction) {
    ASSERT_EQ(setenv("TANDEM_TEST_VARIABLE", "x y", 1), 0);
    EXPECT_EQ(environment("TANDEM_TEST_VARIABLE"), "x y");
    ASSERT_EQ(unsetenv("TANDEM_TEST_VARIABLE"), 0);
    EXPECT_EQ(environment("TANDEM_TEST_VARIABLE"), std::nullopt);
}

TEST(RunRanks, ExceptionsBecomeExitCodes) {
    EXPECT_EQ(run_ranks(test_runtime(), [] { return 75; }), 75);
    EXPECT_EQ(run_ranks(test_runtime(), []() -> int { fail(Failure::Input, "a file"); }), 3);
    EXPECT_EQ(run_ranks(test_runtime(), []() -> int { throw std::bad_alloc(); }), 4);
    EXPECT_EQ(run_ranks(test_runtime(), []() -> int { throw std::runtime_error("x"); }), 1);
}

}  // namespace
