// The names that -fsanitize=alignment,bounds-strict,shift,signed-integer-overflow,integer-divide-by-zero calls, with the line of the
// source. They see what addresses do not show: an index that leaves its array for the next one in the same struct, an access of 16 bytes
// that the compiler splits, an index of 32 bits that overflows. libubsan is not linked: these take its place.
#include <fmt/format.h>

#include <cstring>

#include "tests/support/emulator/launch_state.h"

namespace {

/// What all of the compiler's descriptions begin with.
struct Source {
    const char* file;
    std::uint32_t line, column;
};
struct Alignment {
    Source where;
    const void* type;
    unsigned char log_alignment;
    unsigned char kind;
};

[[noreturn]] void wrong(const Source* where, const std::string& what) {
    const char* slash = std::strrchr(where->file, '/');
    tandem::emulator::fault(fmt::format("{}:{}: {}", slash == nullptr ? where->file : slash + 1, where->line, what));
}

}  // namespace

#define TANDEM_CHECK(NAME, ...)              \
    void __ubsan_handle_##NAME(__VA_ARGS__); \
    void __ubsan_handle_##NAME(__VA_ARGS__)

extern "C" {
TANDEM_CHECK(type_mismatch_v1, Alignment* what, void* address) {
    wrong(&what->where, fmt::format("an access at {}: not aligned to {} bytes", address, 1U << what->log_alignment));
}
TANDEM_CHECK(out_of_bounds, Source* where, std::uintptr_t index) {
    wrong(where, fmt::format("index {} of an array: out of bounds", static_cast<std::int64_t>(index)));
}
TANDEM_CHECK(shift_out_of_bounds, Source* where, void*, void*) {
    wrong(where, "a shift by more bits than there are, or of a negative number");
}
TANDEM_CHECK(add_overflow, Source* where, void*, void*) { wrong(where, "a sum of integers overflows"); }
TANDEM_CHECK(sub_overflow, Source* where, void*, void*) { wrong(where, "a difference of integers overflows"); }
TANDEM_CHECK(mul_overflow, Source* where, void*, void*) { wrong(where, "a product of integers overflows"); }
TANDEM_CHECK(negate_overflow, Source* where, void*) { wrong(where, "a negated integer overflows"); }
TANDEM_CHECK(divrem_overflow, Source* where, void*, void*) { wrong(where, "a division of integers by zero, or one that overflows"); }
}
