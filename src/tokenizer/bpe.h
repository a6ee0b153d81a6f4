// Byte pair encoding (Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016) as the `BPE` model of
// tokenizer.json defines it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/io/json.h"

namespace tandem {

/// A token of a word: its id and how many bytes of the word it takes.
struct Symbol {
    std::int32_t id;
    std::uint32_t bytes;
};

class Bpe {
public:
    /// `json` is the "model" of `file`. Throws Input for other models, dropout, and merges of tokens that are not there.
    Bpe(const Json& json, const std::filesystem::path& file);

    /// Appends the tokens of one pre-tokenized word. O(n log n) in its length. Thread-safe; each thread remembers words.
    void encode(std::string_view word, std::vector<Symbol>& out) const;

    [[nodiscard]] std::optional<std::int32_t> id_of(std::string_view token) const;
    /// The token's text; null for an id that the model does not have.
    [[nodiscard]] const std::string* token_of(std::int32_t id) const;
    [[nodiscard]] std::size_t size() const { return ids_.size(); }  ///< number of tokens
    [[nodiscard]] std::int64_t largest_id() const { return static_cast<std::int64_t>(tokens_.size()) - 1; }

private:
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    struct Merge {
        std::uint32_t rank;
        std::int32_t id;
    };
    /// Open addressing from a pair of ids to its merge.
    class MergeTable {
    public:
        void reserve(std::size_t count);
        void insert(std::int32_t left, std::int32_t right, Merge merge);
        [[nodiscard]] const Merge* find(std::int32_t left, std::int32_t right) const;

    private:
        struct Slot {
            std::uint64_t key = kEmpty;
            Merge merge{};
        };
        static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
        static std::uint64_t key_of(std::int32_t left, std::int32_t right) {
            return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U | static_cast<std::uint32_t>(right);
        }
        [[nodiscard]] std::size_t slot_of(std::uint64_t key) const;
        std::vector<Slot> slots_;
    };
    struct Node {
        std::int32_t id;
        std::uint32_t bytes;  // 0: merged into the one before
        std::int32_t previous, next;
    };

    void load_vocabulary(const Json& vocabulary, const std::filesystem::path& file);
    void load_merges(const Json& merges, const std::filesystem::path& file);
    void add_merge(std::string_view left, std::string_view right, std::uint32_t rank, const std::filesystem::path& file);
    [[nodiscard]] std::vector<Symbol> characters_of(std::string_view word) const;
    bool append_bytes(std::string_view character, std::vector<Symbol>& symbols) const;
    void merge_all(std::vector<Symbol>& symbols) const;

    std::unordered_map<std::string, std::int32_t, TextHash, std::equal_to<>> ids_;
    std::vector<std::string> tokens_;  // by id
    std::vector<bool> present_;
    MergeTable merges_;
    std::optional<std::int32_t> byte_ids_[256];
    std::string prefix_, suffix_;  // of continuing parts, of the end of a word
    std::optional<std::string> unknown_;
    std::optional<std::int32_t> unknown_id_;
    std::string file_;
    bool fuse_unknown_ = false, byte_fallback_ = false, ignore_merges_ = false;
    std::uint64_t instance_;  // names this model's entries in the threads' caches
};

}  // namespace tandem
