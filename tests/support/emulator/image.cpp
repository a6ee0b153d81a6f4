#include "tests/support/emulator/image.h"

#include <link.h>

#include <cstddef>

namespace tandem::emulator {

bool in_program_image(const void* address) {
    auto wanted = reinterpret_cast<ElfW(Addr)>(address);
    return dl_iterate_phdr(
               [](dl_phdr_info* info, std::size_t, void* data) {
                   const ElfW(Addr) at = *static_cast<ElfW(Addr)*>(data);
                   for (int i = 0; i < info->dlpi_phnum; ++i) {
                       const auto& header = info->dlpi_phdr[i];
                       const ElfW(Addr) start = info->dlpi_addr + header.p_vaddr;
                       if (header.p_type == PT_LOAD && at >= start && at < start + header.p_memsz) return 1;
                   }
                   return 0;
               },
               &wanted) != 0;
}

}  // namespace tandem::emulator
