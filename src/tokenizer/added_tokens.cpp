#include "src/tokenizer/added_tokens.h"

#include "src/tokenizer/unicode.h"

namespace tandem {

void AddedTokens::Trie::insert(std::string_view text, std::int32_t id) {
    if (text.empty()) return;
    if (nodes_.empty()) nodes_.emplace_back();
    begins_[static_cast<unsigned char>(text[0])] = true;
    std::size_t node = 0;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const auto found = nodes_[node].next.find(byte);
        if (found != nodes_[node].next.end()) {
            node = found->second;
        } else {
            const std::size_t made = nodes_.size();
            nodes_[node].next.emplace(byte, made);
            nodes_.emplace_back();
            node = made;
        }
    }
    nodes_[node].id = id;
}

std::optional<std::int32_t> AddedTokens::Trie::longest(std::string_view text, std::size_t at, std::size_t& end) const {
    if (!begins_[static_cast<unsigned char>(text[at])]) return std::nullopt;
    std::optional<std::int32_t> found;
    std::size_t node = 0;
    for (std::size_t i = at; i < text.size(); ++i) {
        const auto next = nodes_[node].next.find(static_cast<unsigned char>(text[i]));
        if (next == nodes_[node].next.end()) break;
        node = next->second;
        if (nodes_[node].id >= 0) {
            found = nodes_[node].id;
            end = i + 1;
        }
    }
    return found;
}

AddedTokens::AddedTokens(const Json& list, const Bpe& model, const Normalizer* normalizer, const std::filesystem::path& file) {
    if (list.is_null()) return;
    if (!list.is_array()) fail(Failure::Input, R"({}: "added_tokens" must be an array)", file.string());
    auto next_id = static_cast<std::int32_t>(model.size());
    for (const auto& entry : list) {
        AddedToken token;
        token.content = token.pattern = get<std::string>(entry, "content", file);
        token.single_word = get_or(entry, "single_word", false, file);
        token.lstrip = get_or(entry, "lstrip", false, file);
        token.rstrip = get_or(entry, "rstrip", false, file);
        token.special = get_or(entry, "special", false, file);
        token.normalized = get_or(entry, "normalized", !token.special, file);
        if (token.content.empty()) continue;
        if (token.normalized && normalizer != nullptr) token.pattern = normalizer->apply(AlignedText(token.content, 0)).text;
        auto known = id_of(token.content);
        if (!known) known = model.id_of(token.content);
        const std::int32_t id = known ? *known : next_id++;
        ids_[token.content] = id;
        if (token.special) special_[token.content] = true;
        tokens_[id] = std::move(token);
    }
    for (const auto& [id, token] : tokens_) (token.normalized ? normalized_ : as_is_).insert(token.pattern, id);
}

const AddedToken* AddedTokens::find(std::int32_t id) const {
    const auto found = tokens_.find(id);
    return found == tokens_.end() ? nullptr : &found->second;
}

std::optional<std::int32_t> AddedTokens::id_of(std::string_view content) const {
    const auto found = ids_.find(content);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

bool AddedTokens::is_special(std::string_view content) const { return special_.find(content) != special_.end(); }

std::vector<Piece> AddedTokens::extract(std::string_view text, const Normalizer* normalizer) const {
    std::vector<Piece> raw;
    cut(std::make_shared<AlignedText>(text, 0), as_is_, raw);
    std::vector<Piece> out;
    for (Piece& piece : raw) {
        if (piece.token >= 0) {
            out.push_back(std::move(piece));
            continue;
        }
        auto part = std::make_shared<AlignedText>(piece.text(), piece.original_begin);
        if (normalizer != nullptr) part = std::make_shared<AlignedText>(normalizer->apply(*part));
        cut(part, normalized_, out);
    }
    return out;
}

void AddedTokens::cut(const std::shared_ptr<const AlignedText>& source, const Trie& trie, std::vector<Piece>& out) const {
    const std::string_view text = source->text;
    if (text.empty()) return;
    if (trie.empty()) {
        out.push_back({source, 0, text.size(), source->origin(0).begin, -1});
        return;
    }
    const auto put = [&](std::size_t begin, std::size_t end, std::int32_t token) {
        if (begin < end) out.push_back({source, begin, end, source->origin(begin).begin, token});
    };
    std::size_t done = 0;  // everything before is cut
    for (std::size_t at = 0; at < text.size();) {
        std::size_t begin = at, end = at;
        const auto id = trie.longest(text, at, end);
        if (!id) {
            ++at;
            continue;
        }
        at = end;  // matches do not overlap, whether they count or not
        const AddedToken& token = tokens_.at(*id);
        if (token.single_word) {
            const bool word_before = begin > 0 && unicode::is_word(unicode::decode(text, unicode::previous(text, begin)));
            const bool word_after = end < text.size() && unicode::is_word(unicode::decode(text, end));
            if (word_before || word_after) continue;
        }
        while (token.lstrip && begin > done && unicode::is_white_space(unicode::decode(text, unicode::previous(text, begin)))) {
            begin = unicode::previous(text, begin);
        }
        while (token.rstrip && end < text.size() && unicode::is_white_space(unicode::decode(text, end)))
            end += unicode::length_of(text[end]);
        put(done, begin, -1);
        put(begin, end, *id);
        done = end;
    }
    put(done, text.size(), -1);
}

}  // namespace tandem
