// Included before all else in kernels that are compiled for the emulator: calls that touch memory, also those that the compiler makes of
// an assignment or a loop, go to the emulator (hooks.cpp), as instrumentation does not report them.
#pragma once

#include <cstddef>

extern "C" {
void* memcpy(void* to, const void* from, std::size_t bytes) noexcept __asm__("tandem_emulated_memcpy");
void* memmove(void* to, const void* from, std::size_t bytes) noexcept __asm__("tandem_emulated_memmove");
void* memset(void* to, int value, std::size_t bytes) noexcept __asm__("tandem_emulated_memset");
}
