// Who wrote and who read each byte of memory last, as of the running launch: the search for races and for reads of what nobody wrote.
// One search for shared and global memory, because blocks run one after the other: a number that grows with every block and every
// barrier tells whether two accesses are of one launch, of one block, and between the same barriers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tandem::emulator {

enum class Access : std::uint8_t {
    Read,
    Write,
    Atomic,
    CopyBegins,   ///< the target of an asynchronous copy: nobody's until the copy arrives
    CopyArrives,  ///< in front of the thread that waited for it
};
enum class Wrong : std::uint8_t { Nothing, Unwritten, UnderWay, Written, WasRead };

/// Phases count blocks and barriers of all launches; 0 is nobody's, 1 the host's.
inline constexpr std::uint32_t kHostPhase = 1;

/// phase 32 | barriers of the warp in it 20 | thread 10 | kind 2. All zero: nobody.
using Mark = std::uint64_t;
inline constexpr Mark kHostMark = Mark{kHostPhase} << 32U;
enum class WriteKind : std::uint8_t { Plain, Atomic, UnderWay };
enum class ReadKind : std::uint8_t { One, OneWarp, Several, SeveralBlocks };

constexpr std::uint32_t phase_of(Mark m) { return static_cast<std::uint32_t>(m >> 32U); }
constexpr std::uint32_t warp_phase_of(Mark m) { return static_cast<std::uint32_t>(m >> 12U) & 0xfffffU; }
constexpr std::uint32_t thread_of(Mark m) { return static_cast<std::uint32_t>(m >> 2U) & 0x3ffU; }

/// Who accesses, and when.
struct Accessor {
    std::uint32_t launch_start = 0, block_start = 0,
                  phase = 0;  ///< the phases that the launch, the block, and the time since the last barrier began with
    std::uint32_t warp_phase = 0, thread = 0;
    template <class Kind>
    [[nodiscard]] Mark mark(Kind kind) const {
        return Mark{phase} << 32U | Mark{warp_phase & 0xfffffU} << 12U | Mark{thread} << 2U | static_cast<Mark>(kind);
    }
};

inline bool same_warp(Mark earlier, const Accessor& who) { return thread_of(earlier) / 32 == who.thread / 32; }

/// Whether a barrier, or the end of a launch, lies between whatever the mark's block did and now.
inline bool over(Mark earlier, const Accessor& who) {
    const std::uint32_t phase = phase_of(earlier);
    return phase < who.launch_start || (phase >= who.block_start && phase < who.phase);
}

/// Whether nothing orders the access of one thread and the one of `who`.
inline bool unordered(Mark earlier, const Accessor& who) {
    if (over(earlier, who)) return false;
    if (phase_of(earlier) < who.block_start) return true;
    if (thread_of(earlier) == who.thread) return false;
    return !same_warp(earlier, who) || warp_phase_of(earlier) == who.warp_phase;
}

/// The same of all who left the mark of a read.
inline bool reads_unordered(Mark readers, const Accessor& who, std::uint32_t floor) {
    if (phase_of(readers) < std::max(floor, who.launch_start)) return false;
    switch (static_cast<ReadKind>(readers & 3U)) {
        case ReadKind::One: return unordered(readers, who);
        case ReadKind::OneWarp: return !over(readers, who) && (!same_warp(readers, who) || warp_phase_of(readers) == who.warp_phase);
        case ReadKind::Several: return !over(readers, who);
        default: return true;
    }
}

/// What is wrong with an access by `who` to a byte with these marks. Marks of phases before `floor` count as none: shared memory has those
/// of its block, global memory all.
inline Wrong examine(Mark writer, Mark reader, Access how, const Accessor& who, std::uint32_t floor) {
    const bool written = phase_of(writer) >= floor;
    const auto kind = static_cast<WriteKind>(writer & 3U);
    if (!written && (how == Access::Read || how == Access::Atomic)) return Wrong::Unwritten;
    if (written && kind == WriteKind::UnderWay && !(how == Access::CopyArrives && thread_of(writer) == who.thread)) return Wrong::UnderWay;
    const bool both_atomic = how == Access::Atomic && kind == WriteKind::Atomic;
    if (written && !both_atomic && unordered(writer, who)) return Wrong::Written;
    if (how != Access::Read && reads_unordered(reader, who, floor)) return Wrong::WasRead;
    return Wrong::Nothing;
}

/// The mark of a byte that had `reader` and is read by `who`.
inline Mark read_by(Mark reader, const Accessor& who, std::uint32_t floor) {
    const std::uint32_t phase = phase_of(reader);
    const auto kind = static_cast<ReadKind>(reader & 3U);
    if (phase >= std::max(floor, who.launch_start) && (phase < who.block_start || kind == ReadKind::SeveralBlocks))
        return who.mark(ReadKind::SeveralBlocks);
    if (phase != who.phase || (kind == ReadKind::One && thread_of(reader) == who.thread)) return who.mark(ReadKind::One);
    if (kind == ReadKind::Several || !same_warp(reader, who)) return who.mark(ReadKind::Several);
    return who.mark(warp_phase_of(reader) == who.warp_phase ? ReadKind::OneWarp : ReadKind::One);
}

/// `bytes` bytes with their marks at `writer` and `reader`. Where something is wrong, `at` is the first byte of it.
[[gnu::always_inline]] inline Wrong touch(Mark* writer, Mark* reader, std::size_t bytes, Access how, const Accessor& who,
                                          std::uint32_t floor, std::size_t& at) {
    // As a rule all bytes of an access have one history.
    bool uniform = true;
    for (std::size_t i = 1; i < bytes; ++i) uniform &= (writer[i] == writer[0]) & (reader[i] == reader[0]);
    if (uniform) {
        at = 0;
        if (const Wrong wrong = examine(writer[0], reader[0], how, who, floor); wrong != Wrong::Nothing) return wrong;
    } else {
        for (at = 0; at < bytes; ++at)
            if (const Wrong wrong = examine(writer[at], reader[at], how, who, floor); wrong != Wrong::Nothing) return wrong;
    }
    if (how != Access::Read) {
        const WriteKind kind = how == Access::Atomic       ? WriteKind::Atomic
                               : how == Access::CopyBegins ? WriteKind::UnderWay
                                                           : WriteKind::Plain;
        std::fill_n(writer, bytes, who.mark(kind));
    } else if (uniform) {
        std::fill_n(reader, bytes, read_by(reader[0], who, floor));
    } else {
        for (std::size_t i = 0; i < bytes; ++i) reader[i] = read_by(reader[i], who, floor);
    }
    return Wrong::Nothing;
}

}  // namespace tandem::emulator
