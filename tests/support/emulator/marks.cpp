#include "tests/support/emulator/marks.h"

namespace tandem::emulator {

namespace {

bool same_warp(Mark earlier, const Accessor& who) { return thread_of(earlier) / 32 == who.thread / 32; }

/// Whether a barrier, or the end of a launch, lies between whatever the mark's block did and now.
bool over(Mark earlier, const Accessor& who) {
    const std::uint32_t phase = phase_of(earlier);
    return phase < who.launch_start || (phase >= who.block_start && phase < who.phase);
}

/// Whether nothing orders the access of one thread and the one of `who`.
bool unordered(Mark earlier, const Accessor& who) {
    if (over(earlier, who)) return false;
    if (phase_of(earlier) < who.block_start) return true;
    if (thread_of(earlier) == who.thread) return false;
    return !same_warp(earlier, who) || warp_phase_of(earlier) == who.warp_phase;
}

/// The same of all who left the mark of a read.
bool reads_unordered(Mark readers, const Accessor& who, std::uint32_t floor) {
    if (phase_of(readers) < std::max(floor, who.launch_start)) return false;
    switch (static_cast<ReadKind>(readers & 3U)) {
        case ReadKind::One: return unordered(readers, who);
        case ReadKind::OneWarp: return !over(readers, who) && (!same_warp(readers, who) || warp_phase_of(readers) == who.warp_phase);
        case ReadKind::Several: return !over(readers, who);
        default: return true;
    }
}

}  // namespace

Wrong examine(Mark writer, Mark reader, Access how, const Accessor& who, std::uint32_t floor) {
    const bool written = phase_of(writer) >= floor;
    const auto kind = static_cast<WriteKind>(writer & 3U);
    if (!written && (how == Access::Read || how == Access::Atomic)) return Wrong::Unwritten;
    if (written && kind == WriteKind::UnderWay && !(how == Access::CopyArrives && thread_of(writer) == who.thread)) return Wrong::UnderWay;
    const bool both_atomic = how == Access::Atomic && kind == WriteKind::Atomic;
    if (written && !both_atomic && unordered(writer, who)) return Wrong::Written;
    if (how != Access::Read && reads_unordered(reader, who, floor)) return Wrong::WasRead;
    return Wrong::Nothing;
}

Mark read_by(Mark reader, const Accessor& who, std::uint32_t floor) {
    const std::uint32_t phase = phase_of(reader);
    const auto kind = static_cast<ReadKind>(reader & 3U);
    if (phase >= std::max(floor, who.launch_start) && (phase < who.block_start || kind == ReadKind::SeveralBlocks))
        return who.mark(ReadKind::SeveralBlocks);
    if (phase != who.phase || (kind == ReadKind::One && thread_of(reader) == who.thread)) return who.mark(ReadKind::One);
    if (kind == ReadKind::Several || !same_warp(reader, who)) return who.mark(ReadKind::Several);
    return who.mark(warp_phase_of(reader) == who.warp_phase ? ReadKind::OneWarp : ReadKind::One);
}

}  // namespace tandem::emulator
