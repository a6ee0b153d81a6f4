// The tokenizer in a GGUF file's metadata as Hugging Face tokenizer files. Private to the import.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/io/gguf.h"
#include "src/io/json.h"

namespace tandem::io_detail {

/// tokenizer.ggml.token_type
enum class TokenType : std::int64_t { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };

/// The metadata `tokenizer.*`, checked.
struct GgufVocabulary {
    std::string file;   ///< for messages
    std::string model;  ///< "gpt2": byte-level BPE; "llama": SentencePiece BPE
    std::string pre;    ///< which pre-tokenizer (byte-level BPE)
    std::vector<std::string> tokens;
    std::vector<TokenType> types;
    std::vector<double> scores;
    std::optional<std::vector<std::string>> merges;
    std::optional<std::int64_t> bos, eos, eot, unk, pad;
    bool add_bos = false, add_eos = false, add_space_prefix = false;
    std::optional<std::string> chat_template;
};

/// Throws Input naming file and key for what is missing or inconsistent. `vocabulary` is the embedding's number of rows.
GgufVocabulary read_vocabulary(const GgufFile& file, std::int64_t vocabulary);

/// tokenizer.json. Throws Input for a tokenizer model or pre-tokenizer that is not known, naming the known ones.
Json tokenizer_json(const GgufVocabulary& vocabulary, std::string_view architecture);

Json tokenizer_config(const GgufVocabulary& vocabulary, std::int64_t positions);
Json special_tokens_map(const GgufVocabulary& vocabulary);

// Parts of tokenizer.json: normalizer, pre_tokenizer, decoder and model.
Json byte_level_parts(const GgufVocabulary& vocabulary);
Json sentencepiece_parts(const GgufVocabulary& vocabulary, std::string_view architecture);

/// The pre-tokenizers that llama.cpp knows by `tokenizer.ggml.pre`, as far as they are known here.
struct PreTokenizer {
    Json pre_tokenizer;
    Json normalizer;
    bool ignore_merges;
    bool add_bos;  ///< where the file does not say
};
/// Nothing for an unknown name.
std::optional<PreTokenizer> find_pre_tokenizer(std::string_view name, bool add_prefix_space);
std::string known_pre_tokenizers();

/// token -> id; of tokens that occur twice the last counts, as in llama.cpp.
Json vocabulary_json(const std::vector<std::string>& tokens, const std::vector<bool>& keep);
/// "a b", or ["a", "b"] where a part contains a space.
Json merges_json(const std::vector<std::pair<std::string, std::string>>& merges);

}  // namespace tandem::io_detail
