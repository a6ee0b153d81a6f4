// A step as a picture in text.
#pragma once

#include <string>
#include <vector>

#include "parallel/program.h"
#include "parallel/simulate.h"

namespace tandem {

/// Time runs to the right over `width` >= 10 columns. Of each rank one row says what it does in the middle of a column's time and one with
/// which micro-batch (its last digit), with several chunks a third one with which of them; then what the signs mean, the step's time and
/// the bubble. The same input gives the same text.
[[nodiscard]] std::string draw(const std::vector<Program>& programs, const Timeline& timeline, int width);

}  // namespace tandem
