#include "src/engine/rectangles.h"

#include <gtest/gtest.h>

#include "kernels/base/error.h"

namespace tandem::test {
namespace {

TEST(Rectangles, FollowTheElementsOfAnyStretch) {
    const Box box{{3, 5}, {4, 6}};
    for (const std::int64_t most : {1, 7, 12, 100}) {
        for (std::int64_t first = 0; first <= 24; ++first) {
            for (std::int64_t count = 0; first + count <= 24; ++count) {
                std::vector<std::pair<std::int64_t, std::int64_t>> found, expected;
                const auto list = rectangles(box, first, count, most);
                for (const Box& b : list) {
                    EXPECT_TRUE(b.shape.elements() <= most || b.shape[0] == 1);
                    for (std::int64_t i = 0; i < b.shape.elements(); ++i)
                        found.emplace_back(b.offset[0] + i / b.shape[1], b.offset[1] + i % b.shape[1]);
                }
                for (std::int64_t i = first; i < first + count; ++i) expected.emplace_back(3 + i / 6, 5 + i % 6);
                ASSERT_EQ(found, expected) << first << " " << count;
                EXPECT_TRUE(most < 100 || list.size() <= 3U);
            }
        }
    }
    const auto vector = rectangles({{10}, {20}}, 3, 9, 4);
    ASSERT_EQ(vector.size(), 3U);
    EXPECT_EQ(vector[2], (Box{{21}, {1}}));
    EXPECT_THROW((void)rectangles(box, 20, 5, 100), Error);
}

}  // namespace
}  // namespace tandem::test
