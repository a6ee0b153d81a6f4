// The names that gcc's -fsanitize=thread calls for every access to memory that is not provably a thread's own. Only kernels are compiled
// with it, and libtsan is not linked: these take its place.
#include <cstddef>

#include "tests/support/emulator/thread.h"

using tandem::emulator::access;

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_read1(void* x) { access(x, 1, false); }
void __tsan_read2(void* x) { access(x, 2, false); }
void __tsan_read4(void* x) { access(x, 4, false); }
void __tsan_read8(void* x) { access(x, 8, false); }
void __tsan_read16(void* x) { access(x, 16, false); }
void __tsan_write1(void* x) { access(x, 1, true); }
void __tsan_write2(void* x) { access(x, 2, true); }
void __tsan_write4(void* x) { access(x, 4, true); }
void __tsan_write8(void* x) { access(x, 8, true); }
void __tsan_write16(void* x) { access(x, 16, true); }
void __tsan_read_range(void* x, std::size_t bytes) { access(x, bytes, false); }
void __tsan_write_range(void* x, std::size_t bytes) { access(x, bytes, true); }
}
