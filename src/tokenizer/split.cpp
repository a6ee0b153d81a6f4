#include "src/tokenizer/split.h"

#include <algorithm>

namespace tandem {

SplitBehavior parse_split_behavior(const Json& owner, SplitBehavior fallback, const std::filesystem::path& file) {
    const auto name = find<std::string>(owner, "behavior", file);
    if (!name) return fallback;
    if (*name == "Isolated") return SplitBehavior::Isolated;
    if (*name == "Removed") return SplitBehavior::Removed;
    if (*name == "MergedWithPrevious") return SplitBehavior::MergedWithPrevious;
    if (*name == "MergedWithNext") return SplitBehavior::MergedWithNext;
    if (*name == "Contiguous") return SplitBehavior::Contiguous;
    fail(Failure::Input, "{}: the split behavior {} is not supported", file.string(), *name);
}

namespace {

/// A match joins what was before it, unless that was a match too.
std::vector<Part> merged_with_previous(const std::vector<Part>& parts) {
    std::vector<Part> out;
    bool previous = false;
    for (const Part& part : parts) {
        if (part.match && !previous && !out.empty()) out.back().end = part.end;
        else out.push_back(part);
        previous = part.match;
    }
    return out;
}

std::vector<Part> merged_with_next(const std::vector<Part>& parts) {
    std::vector<Part> out;
    bool previous = false;
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
        if (part->match && !previous && !out.empty()) out.back().begin = part->begin;
        else out.push_back(*part);
        previous = part->match;
    }
    std::reverse(out.begin(), out.end());
    return out;
}

std::vector<Part> contiguous(const std::vector<Part>& parts) {
    std::vector<Part> out;
    bool previous = false;
    for (const Part& part : parts) {
        if (part.match == previous && !out.empty()) out.back().end = part.end;
        else out.push_back(part);
        previous = part.match;
    }
    return out;
}

}  // namespace

void split(const Piece& piece, std::vector<Part> parts, SplitBehavior behavior, std::vector<Piece>& out) {
    if (behavior == SplitBehavior::Removed) std::erase_if(parts, [](const Part& part) { return part.match; });
    if (behavior == SplitBehavior::MergedWithPrevious) parts = merged_with_previous(parts);
    if (behavior == SplitBehavior::MergedWithNext) parts = merged_with_next(parts);
    if (behavior == SplitBehavior::Contiguous) parts = contiguous(parts);
    for (const Part& part : parts) {
        if (part.begin == part.end) continue;
        const std::size_t begin = piece.begin + part.begin;
        out.push_back({piece.source, begin, piece.begin + part.end, piece.source->origin(begin).begin, -1});
    }
}

}  // namespace tandem
