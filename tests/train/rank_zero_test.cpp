// What rank 0 does for all.
#include "src/train/rank_zero.h"

#include <gtest/gtest.h>

#include "kernels/base/error.h"

namespace tandem::test {
namespace {

TEST(RankZero, GivesTheText) {
    const auto self = make_self_communicator();
    EXPECT_EQ(on_rank_zero(*self, std::function<std::string()>([] { return std::string("two\nlines"); })), "two\nlines");
}

TEST(RankZero, KeepsTheFailureKind) {
    const auto self = make_self_communicator();
    try {
        on_rank_zero(*self, std::function<void()>([] { fail(Failure::Input, "line one\nline two"); }));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::Input);
        EXPECT_STREQ(error.what(), "line one\nline two");
    }
}

}  // namespace
}  // namespace tandem::test
