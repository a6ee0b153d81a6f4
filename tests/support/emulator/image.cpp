#include "tests/support/emulator/image.h"

#include <link.h>

#include <cstddef>

namespace tandem::emulator {

namespace {

struct Segment {
    ElfW(Addr) wanted, start, end;
};

int find(dl_phdr_info* info, std::size_t /*size*/, void* data) {
    auto* found = static_cast<Segment*>(data);
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const auto& header = info->dlpi_phdr[i];
        found->start = info->dlpi_addr + header.p_vaddr;
        found->end = found->start + header.p_memsz;
        if (header.p_type == PT_LOAD && found->wanted >= found->start && found->wanted < found->end) return 1;
    }
    return 0;
}

}  // namespace

bool in_program_image(const void* address) {
    static Segment last{};  // tables are read often, and lie together
    const auto wanted = reinterpret_cast<ElfW(Addr)>(address);
    if (wanted >= last.start && wanted < last.end) return true;
    Segment found{wanted, 0, 0};
    if (dl_iterate_phdr(find, &found) == 0) return false;
    last = found;
    return true;
}

}  // namespace tandem::emulator
