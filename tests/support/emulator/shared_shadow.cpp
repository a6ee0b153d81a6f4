#include "tests/support/emulator/shared_shadow.h"

#include <fmt/format.h>

namespace tandem::emulator {

namespace {

std::uint32_t warp(std::uint32_t thread) { return thread / 32; }

}  // namespace

/// Whether no barrier lies between two accesses of different threads.
bool SharedShadow::unordered(const Mark& earlier, const Accessor& who) {
    if (earlier.thread == who.thread || earlier.block_phase != who.block_phase) return false;
    return warp(earlier.thread) != warp(who.thread) || earlier.warp_phase == who.warp_phase;
}

bool SharedShadow::read_unordered(const Byte& byte, const Accessor& who) {
    switch (byte.readers) {
        case Readers::None: return false;
        case Readers::One: return unordered(byte.reader, who);
        case Readers::OneWarp:
            return byte.reader.block_phase == who.block_phase &&
                   (warp(byte.reader.thread) != warp(who.thread) || byte.reader.warp_phase == who.warp_phase);
        default: return byte.reader.block_phase == who.block_phase;
    }
}

void SharedShadow::note_read(Byte& byte, const Accessor& who) {
    const bool same_phase = byte.readers != Readers::None && byte.reader.block_phase == who.block_phase;
    if (!same_phase || (byte.readers == Readers::One && byte.reader.thread == who.thread)) byte.readers = Readers::One;
    else if (warp(byte.reader.thread) != warp(who.thread)) byte.readers = Readers::Several;
    else if (byte.readers != Readers::Several) byte.readers = byte.reader.warp_phase == who.warp_phase ? Readers::OneWarp : Readers::One;
    byte.reader = {who.thread, who.block_phase, who.warp_phase};
}

std::string SharedShadow::access(std::size_t first, std::size_t bytes, bool write, const Accessor& who) {
    if (first + bytes > bytes_.size())
        return fmt::format("bytes {} to {} of {} bytes of shared memory: out of bounds", first, first + bytes, bytes_.size());
    for (std::size_t i = first; i < first + bytes; ++i) {
        Byte& byte = bytes_[i];
        if (!write && !byte.written) return fmt::format("byte {} of shared memory was never written", i);
        if (byte.written && unordered(byte.writer, who))
            return fmt::format("byte {} of shared memory was written by thread {} since the last barrier: a race", i, byte.writer.thread);
        if (write && read_unordered(byte, who))
            return fmt::format("byte {} of shared memory was read by thread {} since the last barrier: a race", i, byte.reader.thread);
        if (write) {
            byte.written = true;
            byte.writer = {who.thread, who.block_phase, who.warp_phase};
        } else {
            note_read(byte, who);
        }
    }
    return "";
}

}  // namespace tandem::emulator
