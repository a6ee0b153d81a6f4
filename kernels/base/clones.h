// Functions in several copies, each for an instruction set.
//
// The program is compiled for the baseline of its architecture. A function marked TANDEM_CLONES is compiled several times
// and the loader picks the copy for the processor at hand; it must be a plain function (a template, a lambda and the body
// of an OpenMP region do not carry the attribute), so parallel loops stay outside and call it for a tile or a row piece.
// What it calls is TANDEM_INLINE, so that it is compiled with it.
#pragma once

// The levels are those of the x86-64 psABI: `arch=haswell` would ask for that very processor and never match an AMD one.
// Sanitizers run their own code before the loader's choice is made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TANDEM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TANDEM_CLONES
#endif
#define TANDEM_INLINE inline __attribute__((always_inline))
