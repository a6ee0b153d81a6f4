// Text to tokens and back, as `tokenizer.json` of a Hugging Face model directory says: equal to the `tokenizers` library and,
// for special tokens, to what transformers' tokenizer(text) adds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tandem {

enum class AddSpecial : bool { No, Yes };   ///< the tokens that the post-processor puts around a text
enum class SkipSpecial : bool { No, Yes };  ///< whether decoding leaves special tokens out

/// Immutable; every const function may be called from several threads at once.
class Tokenizer {
public:
    struct Token {
        std::int32_t id;
        std::size_t begin, end;  ///< bytes of the original text; empty at its ends for tokens that the post-processor adds
    };

    /// Reads tokenizer.json, and for the ids below tokenizer_config.json, special_tokens_map.json, config.json and
    /// generation_config.json where they exist. Throws Configuration if there is no tokenizer.json, Input for what is inside a
    /// file, naming file and component.
    static Tokenizer load(const std::filesystem::path& model_directory);

    /// Throws Input if `text` is not valid UTF-8, naming the byte.
    [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text, AddSpecial add_special) const;
    /// Tokens that share a character all have its bytes.
    [[nodiscard]] std::vector<Token> encode_with_offsets(std::string_view text, AddSpecial add_special) const;
    /// Ids without a token are left out; bytes that are no character become U+FFFD.
    [[nodiscard]] std::string decode(std::span<const std::int32_t> ids, SkipSpecial skip_special) const;

    /// Tokens of the model and added ones: one more than the largest id.
    [[nodiscard]] std::int64_t vocabulary_size() const;
    [[nodiscard]] std::optional<std::int32_t> id_of(std::string_view token) const;
    [[nodiscard]] std::optional<std::int32_t> bos() const;
    [[nodiscard]] std::optional<std::int32_t> eos() const;
    [[nodiscard]] std::optional<std::int32_t> pad() const;
    /// Every id that ends a text: eos() and those of generation_config.json.
    [[nodiscard]] const std::vector<std::int32_t>& end_ids() const;
    [[nodiscard]] bool is_special(std::int32_t id) const;
    /// Of everything that ids depend on, for cache keys.
    [[nodiscard]] std::uint64_t hash() const;

private:
    struct State;
    explicit Tokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}
    std::shared_ptr<const State> state_;
};

}  // namespace tandem
