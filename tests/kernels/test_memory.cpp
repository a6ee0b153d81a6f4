// Tensor views, arenas and host memory.
#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <vector>

#include "kernels/base/backend.h"
#include "kernels/base/host_memory.h"

namespace tandem {

namespace {

std::string message_of(const std::function<void()>& f, Failure expected) {
    try {
        f();
    } catch (const Error& e) {
        EXPECT_EQ(e.failure(), expected) << e.what();
        return e.what();
    }
    ADD_FAILURE() << "nothing was thrown";
    return "";
}

std::vector<float> counting(std::size_t n) {
    std::vector<float> v(n);
    std::iota(v.begin(), v.end(), 0.0F);
    return v;
}

}  // namespace

TEST(Tensors, RowsAndColumnsAreViews) {
    auto memory = counting(6 * 5);
    const Tensor x(memory.data(), DType::F32, {6, 5});
    EXPECT_EQ(x.row_stride(), 5);
    EXPECT_TRUE(x.contiguous());

    const Tensor rows = x.rows(2, 4);
    EXPECT_EQ(rows.shape(), (Shape{2, 5}));
    EXPECT_EQ(*rows.data<float>(), 10.0F);
    EXPECT_TRUE(rows.contiguous());

    const Tensor block = x.columns(1, 4).rows(3, 5);
    EXPECT_EQ(block.shape(), (Shape{2, 3}));
    EXPECT_EQ(block.row_stride(), 5);
    EXPECT_EQ(*block.data<float>(), 16.0F);
    EXPECT_FALSE(block.contiguous());
    EXPECT_EQ(block.bytes(), 24U);
    EXPECT_EQ(x.rows(3, 3).elements(), 0);
}

TEST(Tensors, ReshapeKeepsElements) {
    auto memory = counting(24);
    const Tensor x(memory.data(), DType::F32, {4, 6});
    EXPECT_EQ(x.reshape({2, 3, 4}).row_stride(), 12);
    const Tensor heads = x.columns(2, 6).reshape({4, 2, 2});  // a strided view keeps its first extent
    EXPECT_EQ(heads.row_stride(), 6);
    EXPECT_EQ(*heads.rows(1, 2).data<float>(), 8.0F);
    EXPECT_THROW(static_cast<void>(x.columns(2, 6).reshape({16})), Error);
    EXPECT_THROW(static_cast<void>(x.reshape({5, 5})), Error);
}

TEST(Tensors, WrongUseIsNamed) {
    auto memory = counting(6);
    const Tensor x(memory.data(), DType::F32, {2, 3});
    EXPECT_EQ(x.str(), "fp32 [2, 3]");
    EXPECT_EQ(message_of([&] { static_cast<void>(x.data<double>()); }, Failure::Run), "a tensor of fp32 [2, 3] was used as fp64");
    EXPECT_THROW(static_cast<void>(x.rows(1, 3)), Error);
    EXPECT_THROW(static_cast<void>(x.columns(-1, 2)), Error);
    EXPECT_THROW(Tensor(memory.data(), DType::F32, {2, 3}, 2), Error);
    EXPECT_THROW((Shape{1, 2, 3, 4, 5}), Error);
    EXPECT_FALSE(Tensor());
}

TEST(Arenas, MarksReleaseAndPeak) {
    const auto backend = make_ref_backend();
    Arena arena(*backend, MemoryKind::Activations, 4096);
    const Tensor a = arena.allocate("a", DType::F32, {10});
    EXPECT_EQ(arena.used(), Arena::kAlignment);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.raw()) % Arena::kAlignment, 0U);
    const auto mark = arena.mark();
    void* first = nullptr;
    {
        const ArenaScope scope(arena);
        first = arena.allocate("b", DType::F64, {100}).raw();
        EXPECT_EQ(arena.used(), 256U + 1024U);
    }
    EXPECT_EQ(arena.used(), mark);
    EXPECT_EQ(arena.peak(), 256U + 1024U);
    EXPECT_EQ(arena.allocate("c", DType::U8, {1}).raw(), first);  // the same bytes again
    EXPECT_EQ(arena.peak(), 256U + 1024U);                        // a smaller allocation later does not lower it
    arena.release(mark);
    arena.release(4096);  // a mark from before an older release gives nothing back twice
    EXPECT_EQ(arena.used(), mark);
    EXPECT_TRUE(arena.allocate("empty", DType::F32, {0, 7}));
    EXPECT_EQ(arena.used(), mark);
}

TEST(Arenas, OutOfMemoryNamesTensorShapeKindNeedAndHave) {
    const auto backend = make_ref_backend();
    Arena arena(*backend, MemoryKind::Gradients, 1024);
    arena.allocate("first", DType::F32, {128});
    const auto message = message_of([&] { arena.allocate("layers.3.up", DType::BF16, {20, 16}); }, Failure::OutOfMemory);
    for (const char* part : {"layers.3.up", "bf16", "[20, 16]", "gradients", "640", "512", "1024"})
        EXPECT_NE(message.find(part), std::string::npos) << part << " in: " << message;
    EXPECT_EQ(arena.used(), 512U);  // as before
    EXPECT_NO_THROW(arena.allocate("fits", DType::F32, {128}));
}

TEST(Arenas, LedgerSumsKinds) {
    const auto backend = make_ref_backend();
    DeviceMemory memory(*backend, std::size_t{1} << 40U);  // a terabyte of address space costs nothing
    memory[MemoryKind::Weights].allocate("w", DType::F32, {64});
    memory[MemoryKind::Workspace].allocate("t", DType::F32, {65});
    EXPECT_EQ(memory.peak(), 256U + 512U);
    EXPECT_EQ(name(memory[MemoryKind::Communication].kind()), "communication");
}

TEST(HostMemory, LimitsAreReported) {
    void* empty = reserve_host_memory(0);
    EXPECT_NE(empty, nullptr);
    unreserve_host_memory(empty, 0);
    const auto message = message_of([] { static_cast<void>(reserve_host_memory(std::size_t{1} << 62U)); }, Failure::OutOfMemory);
    EXPECT_NE(message.find("4611686018427387904 bytes"), std::string::npos) << message;
}

TEST(HostMemory, CopiesKeepBytesBetweenRows) {
    std::vector<float> memory(4 * 5, -1.0F);
    const Tensor view = Tensor(memory.data(), DType::F32, {4, 5}).columns(1, 4);
    const auto packed = counting(12);
    copy_to_view(packed.data(), view);
    EXPECT_EQ(memory[0], -1.0F);
    EXPECT_EQ(memory[4], -1.0F);
    EXPECT_EQ(memory[6], 3.0F);
    std::vector<float> back(12);
    copy_from_view(view, back.data());
    EXPECT_EQ(back, packed);
}

}  // namespace tandem
