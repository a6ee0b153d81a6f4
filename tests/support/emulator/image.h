// Addresses of the program's own constants.
#pragma once

namespace tandem::emulator {

/// Whether the address lies in what the loader mapped for the program or a shared object of it.
bool in_program_image(const void* address);

}  // namespace tandem::emulator
