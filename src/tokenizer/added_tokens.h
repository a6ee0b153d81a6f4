// The "added_tokens" of tokenizer.json: texts that become one token wherever they stand, before anything else looks at them.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/io/json.h"
#include "src/tokenizer/aligned_text.h"
#include "src/tokenizer/bpe.h"
#include "src/tokenizer/normalizer.h"

namespace tandem {

struct AddedToken {
    std::string content;
    std::string pattern;  ///< what is looked for: the content, normalized if `normalized`
    bool single_word = false, lstrip = false, rstrip = false, normalized = false, special = false;
};

class AddedTokens {
public:
    AddedTokens() = default;
    /// Ids are those of the model's vocabulary; other tokens are numbered after it in the order of the list.
    AddedTokens(const Json& list, const Bpe& model, const Normalizer* normalizer, const std::filesystem::path& file);

    /// The text cut at the tokens that are looked for in it as it is, the rest normalized, and cut at those that are looked for
    /// in normalized text.
    [[nodiscard]] std::vector<Piece> extract(std::string_view text, const Normalizer* normalizer) const;

    [[nodiscard]] const AddedToken* find(std::int32_t id) const;
    [[nodiscard]] std::optional<std::int32_t> id_of(std::string_view content) const;
    /// Whether a token of this text is special: decoding leaves it out.
    [[nodiscard]] bool is_special(std::string_view content) const;
    [[nodiscard]] std::int64_t largest_id() const { return tokens_.empty() ? -1 : tokens_.rbegin()->first; }

private:
    /// Longest match first, as a trie of bytes.
    class Trie {
    public:
        void insert(std::string_view text, std::int32_t id);
        /// The longest text that begins at `at`; `end` gets its end.
        [[nodiscard]] std::optional<std::int32_t> longest(std::string_view text, std::size_t at, std::size_t& end) const;
        [[nodiscard]] bool empty() const { return nodes_.empty(); }

    private:
        struct Node {
            std::map<unsigned char, std::size_t> next;
            std::int32_t id = -1;
        };
        std::vector<Node> nodes_;
        std::array<bool, 256> begins_{};
    };

    void cut(const std::shared_ptr<const AlignedText>& text, const Trie& trie, std::vector<Piece>& out) const;

    std::map<std::int32_t, AddedToken> tokens_;
    std::map<std::string, std::int32_t, std::less<>> ids_;
    std::map<std::string, bool, std::less<>> special_;
    Trie as_is_, normalized_;
};

}  // namespace tandem
