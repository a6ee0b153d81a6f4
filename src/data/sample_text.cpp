#include "src/data/sample_text.h"

#include <fmt/ranges.h>

#include "src/data/record.h"

namespace tandem {

std::string sample_text(const TokenFile& file, std::int64_t sample, const Tokenizer* tokenizer) {
    const auto n = static_cast<std::size_t>(file.length(sample));
    std::vector<std::int32_t> ids(n), labels(n);
    file.read(sample, ids, labels);
    std::string text;
    for (std::size_t first = 0, last = 0; first < n; first = last) {
        const bool trained = labels[first] != kNotTrained;
        while (last < n && (labels[last] != kNotTrained) == trained) ++last;
        const auto stretch = std::span(ids).subspan(first, last - first);
        if (trained) text += kTrainedBegin;
        text += tokenizer == nullptr ? fmt::format("{}", fmt::join(stretch, " ")) : tokenizer->decode(stretch, SkipSpecial::No);
        if (trained) text += kTrainedEnd;
        if (tokenizer == nullptr && last < n) text += " ";
    }
    return text;
}

}  // namespace tandem
