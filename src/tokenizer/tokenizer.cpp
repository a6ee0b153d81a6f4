#include "src/tokenizer/tokenizer.h"

#include <fmt/ranges.h>
#include <xxhash.h>

#include <limits>

#include "src/io/json.h"
#include "src/io/model_directory.h"
#include "src/tokenizer/added_tokens.h"
#include "src/tokenizer/bpe.h"
#include "src/tokenizer/decoder.h"
#include "src/tokenizer/post_processor.h"
#include "src/tokenizer/pre_tokenizer.h"
#include "src/tokenizer/special_ids.h"
#include "src/tokenizer/unicode.h"

namespace tandem {

struct Tokenizer::State {
    State(const Json& json, const std::filesystem::path& directory, const std::filesystem::path& file)
        : model(get<Json>(json, "model", file), file),
          normalizer(make_normalizer(get_or<Json>(json, "normalizer", {}, file), file)),
          pre_tokenizer(make_pre_tokenizer(get_or<Json>(json, "pre_tokenizer", {}, file), file)),
          added(get_or<Json>(json, "added_tokens", {}, file), model, normalizer.get(), file),
          frame(make_special_frame(get_or<Json>(json, "post_processor", {}, file), file)),
          decoder(make_decoder(get_or<Json>(json, "decoder", {}, file), file)) {
        special = load_special_ids(directory, [&](std::string_view token) { return id_of(token); });
        apply_add_bos_eos(directory, special, frame);
    }

    [[nodiscard]] std::optional<std::int32_t> id_of(std::string_view token) const {
        const auto id = added.id_of(token);
        return id ? id : model.id_of(token);
    }

    /// Pre-tokenized pieces of `text`.
    [[nodiscard]] std::vector<Piece> pieces_of(std::string_view text) const {
        if (const auto at = unicode::find_invalid_utf8(text)) {
            fail(Failure::Input, "the text is not valid UTF-8: byte 0x{:02x} at {}", static_cast<unsigned char>(text[*at]), *at);
        }
        if (text.size() > std::numeric_limits<std::uint32_t>::max()) {
            fail(Failure::Input, "a text of {} bytes is too long for one sample (4 GiB)", text.size());
        }
        std::vector<Piece> pieces = added.extract(text, normalizer.get());
        return pre_tokenizer ? pre_tokenizer->apply(std::move(pieces)) : pieces;
    }

    Bpe model;
    std::unique_ptr<Normalizer> normalizer;
    std::unique_ptr<PreTokenizer> pre_tokenizer;
    AddedTokens added;
    SpecialFrame frame;
    std::unique_ptr<Decoder> decoder;
    SpecialIds special;
    std::uint64_t hash = 0;
};

Tokenizer Tokenizer::load(const std::filesystem::path& model_directory) {
    const auto file = model_directory / "tokenizer.json";
    if (!has_model_file(file)) {
        fail(Failure::Configuration, "{} has no tokenizer.json", model_directory.string());
    }
    const std::string text = read_model_file(file);
    auto state = std::make_shared<State>(parse_json(text, file.string()), model_directory, file);
    const auto& frame = state->frame;
    const std::string rest = fmt::format("{} | {}", fmt::join(frame.before, ","), fmt::join(frame.after, ","));
    state->hash = XXH3_64bits_withSeed(rest.data(), rest.size(), XXH3_64bits(text.data(), text.size()));
    return Tokenizer(std::move(state));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, AddSpecial add_special) const {
    const bool framed = add_special == AddSpecial::Yes;
    std::vector<std::int32_t> ids;
    if (framed) ids = state_->frame.before;
    std::vector<Symbol> symbols;
    for (const Piece& piece : state_->pieces_of(text)) {
        if (piece.token >= 0) {
            ids.push_back(piece.token);
            continue;
        }
        symbols.clear();
        state_->model.encode(piece.text(), symbols);
        for (const Symbol& symbol : symbols) ids.push_back(symbol.id);
    }
    if (framed) ids.insert(ids.end(), state_->frame.after.begin(), state_->frame.after.end());
    return ids;
}

std::vector<Tokenizer::Token> Tokenizer::encode_with_offsets(std::string_view text, AddSpecial add_special) const {
    const bool framed = add_special == AddSpecial::Yes;
    std::vector<Token> tokens;
    const auto add = [&](std::int32_t id, const Piece& piece, std::size_t begin, std::size_t end) {
        tokens.push_back({id, piece.source->origin(begin).begin, piece.source->origin(end - 1).end});
    };
    if (framed) {
        for (const std::int32_t id : state_->frame.before) tokens.push_back({id, 0, 0});
    }
    std::vector<Symbol> symbols;
    for (const Piece& piece : state_->pieces_of(text)) {
        if (piece.token >= 0) {
            add(piece.token, piece, piece.begin, piece.end);
            continue;
        }
        symbols.clear();
        state_->model.encode(piece.text(), symbols);
        std::size_t begin = piece.begin;
        for (const Symbol& symbol : symbols) {
            add(symbol.id, piece, begin, begin + symbol.bytes);
            begin += symbol.bytes;
        }
    }
    if (framed) {
        for (const std::int32_t id : state_->frame.after) tokens.push_back({id, text.size(), text.size()});
    }
    return tokens;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, SkipSpecial skip_special) const {
    std::vector<std::string> tokens;
    for (const std::int32_t id : ids) {
        const AddedToken* added = state_->added.find(id);
        const std::string* text = added != nullptr ? &added->pattern : state_->model.token_of(id);
        if (text == nullptr || (skip_special == SkipSpecial::Yes && state_->added.is_special(*text))) continue;
        tokens.push_back(*text);
    }
    if (!state_->decoder) return fmt::format("{}", fmt::join(tokens, " "));
    return fmt::format("{}", fmt::join(state_->decoder->apply(std::move(tokens)), ""));
}

std::int64_t Tokenizer::vocabulary_size() const {
    return std::max<std::int64_t>(state_->model.largest_id(), state_->added.largest_id()) + 1;
}

std::optional<std::int32_t> Tokenizer::id_of(std::string_view token) const { return state_->id_of(token); }
std::optional<std::int32_t> Tokenizer::bos() const { return state_->special.bos; }
std::optional<std::int32_t> Tokenizer::eos() const { return state_->special.eos; }
std::optional<std::int32_t> Tokenizer::pad() const { return state_->special.pad; }
const std::vector<std::int32_t>& Tokenizer::end_ids() const { return state_->special.ends; }

bool Tokenizer::is_special(std::int32_t id) const {
    const AddedToken* added = state_->added.find(id);
    return added != nullptr && added->special;
}

std::uint64_t Tokenizer::hash() const { return state_->hash; }

}  // namespace tandem
