// Tests that fail on one rank only, in the way that TANDEM_FAILING_TEST asks for: failure-test watches what main.cpp does.
#include <gtest/gtest.h>

#include "tests/support/ranks.h"

namespace {

using namespace tandem;

TEST(Failing, OnTheLastRank) {
    const auto how = environment("TANDEM_FAILING_TEST").value_or("");
    const bool last = test_world().rank() == test_world().size() - 1;
    if (how == "test_fails" && last) {
        EXPECT_EQ(6 * 9, 42);
    }
    if (how == "test_leaves" && last) {
        ASSERT_EQ(6 * 9, 42);
    }
    if (how == "test_throws" && last) throw std::runtime_error("thrown here");
    test_world().barrier();
}

TEST(Failing, NotThisOne) { test_world().barrier(); }

}  // namespace
