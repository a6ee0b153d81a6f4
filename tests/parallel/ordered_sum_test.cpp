#include "parallel/ordered_sum.h"

#include <gtest/gtest.h>

#include <vector>

namespace {

using namespace tandem;

TEST(OrderedSum, AddsFromTheFirstPartToTheLast) {
    // In fp32, (1e8 + 1) - 1e8 is 0 and (1e8 - 1e8) + 1 is 1: only the order tells them apart.
    std::vector<float> big = {1e8F, 1e8F}, one = {1, 1}, minus = {-1e8F, -1e8F}, out(2);
    const auto bytes = [](std::vector<float>& v) { return reinterpret_cast<const std::byte*>(v.data()); };
    auto* target = reinterpret_cast<std::byte*>(out.data());
    ordered_sum(DType::F32, std::vector{bytes(big), bytes(one), bytes(minus)}, target, 2);
    EXPECT_EQ(out, (std::vector<float>{0, 0}));
    ordered_sum(DType::F32, std::vector{bytes(big), bytes(minus), bytes(one)}, target, 2);
    EXPECT_EQ(out, (std::vector<float>{1, 1}));
}

TEST(OrderedSum, MayWriteOverOneOfItsParts) {
    std::vector<float> a(5000, 1), b(5000, 2), c(5000, 4);
    const std::vector<const std::byte*> parts = {reinterpret_cast<std::byte*>(a.data()), reinterpret_cast<std::byte*>(b.data()),
                                                 reinterpret_cast<std::byte*>(c.data())};
    ordered_sum(DType::F32, parts, reinterpret_cast<std::byte*>(b.data()), b.size());
    EXPECT_EQ(b, std::vector<float>(5000, 7));
}

TEST(OrderedSum, IntegersWrapAround) {
    std::vector<std::int64_t> a = {INT64_MAX}, b = {1};
    const std::vector<const std::byte*> parts = {reinterpret_cast<std::byte*>(a.data()), reinterpret_cast<std::byte*>(b.data())};
    ordered_sum(DType::I64, parts, reinterpret_cast<std::byte*>(a.data()), 1);
    EXPECT_EQ(a[0], INT64_MIN);
}

}  // namespace
