#include <cstring>

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch.cuh"
#include "tests/support/emulator/test/planted.cuh"

namespace tandem::emulator::test {

namespace {

using namespace cuda;

struct Shared {
    int at[64];
};
struct Neighbours {
    int first[8], second[8];
};
struct Big {
    int at[24];
};
struct Where {
    int* local;
};
__constant__ int table[4] = {1, 2, 3, 4};

__global__ void read_past_global(Ints p) { p.data[threadIdx.x] = p.data[kInts + threadIdx.x]; }
__global__ void read_past_const(Ints p) {
    const int* __restrict__ x = p.data;
    p.data[threadIdx.x] = x[kInts - 1 + threadIdx.x];
}
__global__ void write_past_global(Ints p) { p.data[kInts + threadIdx.x] = 1; }
__global__ void write_before_global(Ints p) { p.data[-1 - static_cast<int>(threadIdx.x)] = 1; }
__global__ void read_unwritten_global(Ints p) { p.data[threadIdx.x] = p.fresh[threadIdx.x]; }
__global__ void loop_of_zeros(Ints p) {
    for (int i = 0; i <= kInts; ++i) p.data[i] = 0;
}
__global__ void loop_of_copies(Ints p) {
    for (int i = 0; i < kInts; ++i) p.data[i] = p.fresh[i];
}
__global__ void copied_struct(Ints p) { *reinterpret_cast<Big*>(p.data) = *reinterpret_cast<const Big*>(p.fresh); }
__attribute__((noinline)) Big make(int x) {
    Big big;
    for (int& at : big.at) at = x;
    return big;
}
__global__ void returned_struct(Ints p) { *reinterpret_cast<Big*>(p.data + kInts - 8) = make(p.data[0]); }
__global__ void read_by_memcpy(Ints p) {
    char local[100];
    memcpy(local, p.data + kInts - 8, sizeof local);
    p.data[0] = local[p.data[1]];
}
__global__ void written_by_memset(Ints p) { memset(p.data + kInts - 8, 0, 100); }

__global__ void read_past_shared(Ints p) {
    auto& s = shared<Shared>();
    int* at = s.at;
    p.data[threadIdx.x] = at[64 + threadIdx.x];
}
__global__ void write_past_shared(Ints) {
    auto& s = shared<Shared>();
    int* at = s.at;
    at[64 + threadIdx.x] = 1;
}
__global__ void read_unwritten_shared(Ints p) { p.data[threadIdx.x] = shared<Shared>().at[threadIdx.x]; }
__global__ void too_little_shared(Ints p) { shared<Shared>().at[threadIdx.x] = p.data[0]; }
__global__ void index_into_neighbour(Ints p) { shared<Neighbours>().first[p.data[threadIdx.x + 8]] = 1; }
__global__ void index_past_table(Ints p) { p.data[threadIdx.x] = table[p.data[threadIdx.x + 4]]; }
__global__ void index_past_local(Ints p) {
    int local[4] = {p.data[0], p.data[1], p.data[2], p.data[3]};
    local[p.data[4 + threadIdx.x]] = 1;
    p.data[0] = local[p.data[threadIdx.x]];
}

__global__ void misaligned_pack(Ints p) {
    const auto pack = load<4>(reinterpret_cast<const float*>(p.data + 1));
    p.data[threadIdx.x] = pack.at[0] > 0.0F;
}
__global__ void misaligned_long_pack(Ints p) {
    const auto pack = load<8>(reinterpret_cast<const float*>(p.data + 2));
    store(reinterpret_cast<float*>(p.data), pack);
}
__global__ void misaligned_int(Ints p) { *reinterpret_cast<int*>(reinterpret_cast<char*>(p.data) + 2) = 1; }
__global__ void misaligned_copy(Ints p) { copy_async(&shared<Shared>().at[1], p.data, true); }

__global__ void host_memory_read(Ints p) { p.data[threadIdx.x] = p.host[threadIdx.x]; }
__global__ void host_memory_written(Ints p) { p.host[threadIdx.x] = 1; }
__global__ void null_pointer(Ints p) { p.data[0] = *reinterpret_cast<int*>(p.data[0] * 8L); }
__global__ void anothers_local_memory(Ints p) {
    auto& s = shared<Where>();
    volatile int local[4] = {1, 2, 3, 4};
    if (threadIdx.x == 5) s.local = const_cast<int*>(local);
    __syncthreads();
    if (threadIdx.x == 6) p.data[0] = s.local[1];
    __syncthreads();
}
__global__ void product_overflows(Ints p) { p.data[threadIdx.x] = (p.data[threadIdx.x] + 2) * 0x7fffffff; }
__global__ void gives_up(Ints) { give_up(); }

constexpr std::size_t kShared = sizeof(Shared);
constexpr Planted kPlanted[] = {
    {"read_past_global", read_past_global, 1, 32, 0, "a read of 4 bytes: bytes 1"},
    {"read_past_const", read_past_const, 1, 32, 0, "of an allocation of 1024: out of bounds"},
    {"write_past_global", write_past_global, 1, 32, 0, "a write of 4 bytes: bytes 1"},
    {"write_before_global", write_before_global, 1, 32, 0, "a write of 4 bytes"},
    {"read_unwritten_global", read_unwritten_global, 1, 32, 0, "of an allocation of 1024 was never written"},
    {"loop_of_zeros", loop_of_zeros, 1, 32, 0, ""},
    {"loop_of_copies", loop_of_copies, 1, 32, 0, "was never written"},
    {"copied_struct", copied_struct, 1, 32, 0, "was never written"},
    {"returned_struct", returned_struct, 1, 32, 0, "of an allocation of 1024: out of bounds"},
    {"read_by_memcpy", read_by_memcpy, 1, 32, 0, "a read of 100 bytes: bytes 992 to 1092 of an allocation of 1024: out of bounds"},
    {"written_by_memset", written_by_memset, 1, 32, 0, "a write of 100 bytes: bytes 992 to 1092 of an allocation of 1024: out of bounds"},
    {"read_past_shared", read_past_shared, 1, 32, kShared, "of 256 bytes of shared memory: out of bounds"},
    {"write_past_shared", write_past_shared, 1, 32, kShared, "of 256 bytes of shared memory: out of bounds"},
    {"read_unwritten_shared", read_unwritten_shared, 2, 32, kShared, "of 256 bytes of shared memory was never written"},
    {"too_little_shared", too_little_shared, 1, 32, 128, "256 bytes of shared memory are used, the launch gave 128"},
    {"index_into_neighbour", index_into_neighbour, 1, 32, sizeof(Neighbours), "of an array: out of bounds"},
    {"index_past_table", index_past_table, 1, 32, 0, "of an array: out of bounds"},
    {"index_past_local", index_past_local, 1, 32, 0, "of an array: out of bounds"},
    {"misaligned_pack", misaligned_pack, 1, 32, 0, "not aligned to 16 bytes"},
    {"misaligned_long_pack", misaligned_long_pack, 1, 32, 0, "not aligned to 16 bytes"},
    {"misaligned_int", misaligned_int, 1, 32, 0, "not aligned to 4 bytes"},
    {"misaligned_copy", misaligned_copy, 1, 32, kShared, "not aligned to 16 bytes"},
    {"host_memory_read", host_memory_read, 1, 32, 0, "which is not memory of the device"},
    {"host_memory_written", host_memory_written, 1, 32, 0, "which is not memory of the device"},
    {"null_pointer", null_pointer, 1, 32, 0, "which is not memory of the device"},
    {"anothers_local_memory", anothers_local_memory, 1, 32, sizeof(Where), "another thread's local memory"},
    {"product_overflows", product_overflows, 1, 32, 0, "a product of integers overflows"},
    {"gives_up", gives_up, 1, 32, 0, "the kernel gave up"},
};

__global__ void huge_frame(Ints p) {
    volatile char local[200 << 10];
    local[p.data[0]] = 1;
    p.data[0] = local[p.data[1]];
}

}  // namespace

std::span<const Planted> planted_in_memory() { return kPlanted; }

Status launch_planted(const Planted& one, const Ints& ints, StreamHandle stream) {
    return cuda::launch({one.name, {one.blocks}, one.threads, one.shared_bytes}, stream, one.kernel, ints);
}

Status launch_huge_frame(const Ints& ints, StreamHandle stream) { return cuda::launch({"huge_frame", {1}, 32}, stream, huge_frame, ints); }

int read_on_host(const int* data) { return data[0]; }

}  // namespace tandem::emulator::test
