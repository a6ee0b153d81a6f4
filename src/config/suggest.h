// "did you mean": the nearest of a set of names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tandem {

/// Edit distance with insertions, deletions, substitutions and swaps of neighbours, each 1 (optimal string alignment);
/// upper and lower case, `-` and `_` count as equal.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word` when it is near enough to be a slip, else empty. Earlier candidates win ties.
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// "; did you mean 'X'?" or "".
[[nodiscard]] std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace tandem
