// What the threads of a block did to its shared memory: the search for races and for reads of what nobody wrote.
#pragma once

#include <string>
#include <vector>

#include "tests/support/emulator/memory.h"

namespace tandem::emulator {

class SharedShadow {
public:
    /// A new block: all undefined.
    void reset(std::size_t bytes) { bytes_.assign(bytes, {}); }
    /// Empty, or what is wrong.
    std::string access(std::size_t first, std::size_t bytes, bool write, const Accessor& who);

private:
    struct Mark {
        std::uint32_t thread = 0, block_phase = 0, warp_phase = 0;
    };
    enum class Readers : std::uint8_t { None, One, OneWarp, Several };
    struct Byte {
        bool written = false;
        Readers readers = Readers::None;
        Mark writer, reader;
    };
    static bool unordered(const Mark& earlier, const Accessor& who);
    static bool read_unordered(const Byte& byte, const Accessor& who);
    static void note_read(Byte& byte, const Accessor& who);
    std::vector<Byte> bytes_;
};

}  // namespace tandem::emulator
