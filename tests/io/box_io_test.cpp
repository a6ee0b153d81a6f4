#include "src/io/box_io.h"

#include <array>

#include "tests/io/temp_dir.h"

namespace tandem {
namespace {

/// 4 x 6 numbers behind 8 other bytes, under a temporary name.
struct Numbers {
    Numbers() : target(dir / "x"), file(target) {
        for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<float>(i);
        file.append("8 bytes.");
        file.append(std::as_bytes(std::span(all)));
    }
    TempDir dir;
    std::filesystem::path target;
    AtomicFile file;
    std::array<float, 24> all{};
    TensorPlace place{8, DType::F32, {4, 6}};
};

TEST(BoxIo, ReadsItsElementsAndNoOtherBytes) {
    Numbers numbers;
    numbers.file.commit();
    const RandomAccessFile in(numbers.target);
    std::array<float, 6> box{};
    read_box(in, numbers.place, {1, 2}, {2, 3}, std::as_writable_bytes(std::span(box)));
    EXPECT_EQ(box, (std::array<float, 6>{8, 9, 10, 14, 15, 16}));
    EXPECT_EQ(in.bytes_read(), 24U);
    read_box(in, {8, DType::F32, {24}}, {7}, {6}, std::as_writable_bytes(std::span(box)));
    EXPECT_EQ(box, (std::array<float, 6>{7, 8, 9, 10, 11, 12}));
}

TEST(BoxIo, ProcessesWriteDifferentBoxesOfOneFile) {
    Numbers numbers;
    const std::array<float, 4> left = {-1, -2, -3, -4}, rows = {-5, -6, -7, -8};
    SharedFile one(numbers.file.temporary(), numbers.target), two(numbers.file.temporary(), numbers.target);
    write_box(one, numbers.place, {0, 0}, {2, 2}, std::as_bytes(std::span(left)));
    write_box(two, numbers.place, {3, 1}, {1, 4}, std::as_bytes(std::span(rows)));
    one.sync();
    EXPECT_EQ(one.bytes_written(), 16U);
    EXPECT_FALSE(std::filesystem::exists(numbers.target));
    numbers.file.commit();
    std::array<float, 24> found{};
    read_box(RandomAccessFile(numbers.target), numbers.place, {0, 0}, {4, 6}, std::as_writable_bytes(std::span(found)));
    auto expected = numbers.all;
    expected[0] = -1, expected[1] = -2, expected[6] = -3, expected[7] = -4;
    for (std::size_t i = 0; i < 4; ++i) expected[19 + i] = rows[i];
    EXPECT_EQ(found, expected);
}

TEST(BoxIo, WhatIsOutsideIsRefused) {
    Numbers numbers;
    SharedFile file(numbers.file.temporary(), numbers.target);
    const std::array<float, 4> values{};
    const auto bytes = std::as_bytes(std::span(values));
    EXPECT_THROW(write_box(file, numbers.place, {0, 4}, {1, 4}, bytes), Error);
    EXPECT_THROW(write_box(file, numbers.place, {0, 0}, {1, 3}, bytes), Error);
    EXPECT_THROW(write_box(file, numbers.place, {0}, {4}, bytes), Error);
    EXPECT_THROW(SharedFile(numbers.dir / "absent", numbers.target), Error);
}

}  // namespace
}  // namespace tandem
