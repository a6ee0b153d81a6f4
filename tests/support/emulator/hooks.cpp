// The names that gcc's and clang's -fsanitize=thread calls for every access to memory that is not provably a thread's own, and those
// of calls that touch memory (calls.h). Only kernels are compiled so, and libtsan is not linked: these take its place.
#include <cstddef>
#include <cstring>

#include "tests/support/emulator/access.h"

using tandem::emulator::access;
using tandem::emulator::Access;

#define TANDEM_ACCESS(SIZE)                                                               \
    void __tsan_read##SIZE(void* x) { access<SIZE>(x, Access::Read); }                    \
    void __tsan_write##SIZE(void* x) { access<SIZE>(x, Access::Write); }                  \
    void __tsan_volatile_read##SIZE(void* x) { access<SIZE>(x, Access::Read); }           \
    void __tsan_volatile_write##SIZE(void* x) { access<SIZE>(x, Access::Write); }         \
    void __tsan_unaligned_read##SIZE(void* x) { access(x, SIZE, Access::Read); }          \
    void __tsan_unaligned_write##SIZE(void* x) { access(x, SIZE, Access::Write); }        \
    void __tsan_unaligned_volatile_read##SIZE(void* x) { access(x, SIZE, Access::Read); } \
    void __tsan_unaligned_volatile_write##SIZE(void* x) { access(x, SIZE, Access::Write); }

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void*) {}
void __tsan_vptr_update(void**, void*) {}
TANDEM_ACCESS(1)
TANDEM_ACCESS(2)
TANDEM_ACCESS(4)
TANDEM_ACCESS(8)
TANDEM_ACCESS(16)
void __tsan_read_range(void* x, std::size_t bytes) { access(x, bytes, Access::Read); }
void __tsan_write_range(void* x, std::size_t bytes) { access(x, bytes, Access::Write); }

void* tandem_emulated_memcpy(void* to, const void* from, std::size_t bytes) {
    access(from, bytes, Access::Read);
    access(to, bytes, Access::Write);
    return std::memcpy(to, from, bytes);
}
void* tandem_emulated_memmove(void* to, const void* from, std::size_t bytes) {
    access(from, bytes, Access::Read);
    access(to, bytes, Access::Write);
    return std::memmove(to, from, bytes);
}
void* tandem_emulated_memset(void* to, int value, std::size_t bytes) {
    access(to, bytes, Access::Write);
    return std::memset(to, value, bytes);
}
// clang's names for the same.
void* __tsan_memcpy(void* to, const void* from, std::size_t bytes) { return tandem_emulated_memcpy(to, from, bytes); }
void* __tsan_memmove(void* to, const void* from, std::size_t bytes) { return tandem_emulated_memmove(to, from, bytes); }
void* __tsan_memset(void* to, int value, std::size_t bytes) { return tandem_emulated_memset(to, value, bytes); }
}
