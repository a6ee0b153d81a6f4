// Cutting a piece where a pattern matches.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "src/io/json.h"
#include "src/tokenizer/aligned_text.h"

namespace tandem {

/// What becomes of the parts that match (the delimiters).
enum class SplitBehavior { Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous };

[[nodiscard]] SplitBehavior parse_split_behavior(const Json& owner, SplitBehavior fallback, const std::filesystem::path& file);

/// Bytes [begin, end) of a piece that match or lie between matches.
struct Part {
    std::size_t begin, end;
    bool match;
};

/// Collects the parts of a text of `size` bytes from its matches, given left to right.
class Parts {
public:
    void match(std::size_t begin, std::size_t end) {
        if (end_ != begin) list_.push_back({end_, begin, false});
        list_.push_back({begin, end, true});
        end_ = end;
    }
    [[nodiscard]] std::vector<Part> finish(std::size_t size) {
        if (end_ != size) list_.push_back({end_, size, false});
        return std::move(list_);
    }

private:
    std::vector<Part> list_;
    std::size_t end_ = 0;
};

/// Appends the pieces that `behavior` makes of `parts` (offsets within `piece`); empty ones are left out.
void split(const Piece& piece, std::vector<Part> parts, SplitBehavior behavior, std::vector<Piece>& out);

}  // namespace tandem
