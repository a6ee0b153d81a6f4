// The `model` of tokenizer.json with what belongs to it: normalizer, pre_tokenizer, decoder.
#include <algorithm>
#include <unordered_map>

#include "kernels/base/error.h"
#include "src/io/gguf_tokenizer.h"

namespace tandem::io_detail {

namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";  // U+2581, SentencePiece's space

using Merge = std::pair<std::string, std::string>;

/// llama.cpp pads the vocabulary to the embedding's rows with such tokens; the model's own tokenizer has no entries there.
bool is_padding(const GgufVocabulary& v, std::size_t id) {
    return v.types[id] == TokenType::Unused && v.tokens[id] == fmt::format("[PAD{}]", id);
}

std::vector<bool> kept_tokens(const GgufVocabulary& v) {
    std::vector<bool> keep(v.tokens.size());
    for (std::size_t i = 0; i < keep.size(); ++i) keep[i] = !is_padding(v, i);
    return keep;
}

std::vector<Merge> listed_merges(const GgufVocabulary& v, const Json& vocabulary) {
    std::vector<Merge> merges;
    merges.reserve(v.merges->size());
    for (std::size_t i = 0; i < v.merges->size(); ++i) {
        const auto& text = (*v.merges)[i];
        const auto space = text.find(' ', 1);  // a part may be a space itself
        Merge merge = space == std::string::npos ? Merge{} : Merge{text.substr(0, space), text.substr(space + 1)};
        if (merge.first.empty() || merge.second.empty())
            fail(Failure::Input, "{}: tokenizer.ggml.merges[{}]: '{}' is not a pair", v.file, i, text);
        for (const auto& part : {merge.first, merge.second, merge.first + merge.second}) {
            if (!vocabulary.contains(part))
                fail(Failure::Input, "{}: tokenizer.ggml.merges[{}]: '{}': '{}' is not a token", v.file, i, text, part);
        }
        merges.push_back(std::move(merge));
    }
    return merges;
}

/// Where characters begin after the first.
std::vector<std::size_t> inner_boundaries(const std::string& utf8) {
    std::vector<std::size_t> places;
    for (std::size_t i = 1; i < utf8.size(); ++i) {
        if ((static_cast<unsigned char>(utf8[i]) & 0xC0U) != 0x80U) places.push_back(i);
    }
    return places;
}

std::size_t characters(std::string_view utf8) {
    return static_cast<std::size_t>(
        std::count_if(utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

/// SentencePiece keeps no merges: it joins the pair whose union has the best score. That is BPE with every split of every token
/// into two tokens as a merge, best score first, then the longer left and right part, then the smaller ids.
std::vector<Merge> derived_merges(const std::vector<std::string>& tokens, const std::vector<double>& scores) {
    struct Candidate {
        std::size_t token, split, left_characters, right_characters;
    };
    std::unordered_map<std::string_view, std::size_t> ids;
    for (std::size_t i = 0; i < tokens.size(); ++i) ids[tokens[i]] = i;
    std::vector<Candidate> all, local;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const std::string_view token = tokens[i];
        if (ids[token] != i) continue;
        local.clear();
        for (const auto at : inner_boundaries(tokens[i])) {
            if (!ids.contains(token.substr(0, at)) || !ids.contains(token.substr(at))) continue;
            local.push_back({i, at, characters(token.substr(0, at)), characters(token.substr(at))});
        }
        std::sort(local.begin(), local.end(), [&](const Candidate& a, const Candidate& b) {
            return std::pair(ids[token.substr(0, a.split)], ids[token.substr(a.split)]) <
                   std::pair(ids[token.substr(0, b.split)], ids[token.substr(b.split)]);
        });
        all.insert(all.end(), local.begin(), local.end());
    }
    std::stable_sort(all.begin(), all.end(), [&](const Candidate& a, const Candidate& b) {
        return std::tuple(scores[a.token], a.left_characters, a.right_characters) >
               std::tuple(scores[b.token], b.left_characters, b.right_characters);
    });
    std::vector<Merge> merges;
    merges.reserve(all.size());
    for (const auto& c : all) merges.emplace_back(tokens[c.token].substr(0, c.split), tokens[c.token].substr(c.split));
    return merges;
}

Json replace(std::string_view from, std::string_view to) {
    return {{"type", "Replace"}, {"pattern", {{"String", std::string(from)}}}, {"content", std::string(to)}};
}

Json sequence(const char* member, Json steps) { return {{"type", "Sequence"}, {member, std::move(steps)}}; }

Json bpe_model(Json vocabulary, Json merges) {
    return {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", std::move(vocabulary)},
            {"merges", std::move(merges)}};
}

}  // namespace

Json vocabulary_json(const std::vector<std::string>& tokens, const std::vector<bool>& keep) {
    Json vocabulary = Json::object();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (keep[i]) vocabulary[tokens[i]] = i;
    }
    return vocabulary;
}

Json merges_json(const std::vector<Merge>& merges) {
    const bool spaces = std::any_of(merges.begin(), merges.end(), [](const Merge& m) {
        return m.first.find(' ') != std::string::npos || m.second.find(' ') != std::string::npos;
    });
    Json list = Json::array();
    for (const auto& [left, right] : merges) list.push_back(spaces ? Json::array({left, right}) : Json(left + " " + right));
    return list;
}

Json byte_level_parts(const GgufVocabulary& v) {
    const auto pre = find_pre_tokenizer(v.pre, v.add_space_prefix);
    if (!pre) {
        fail(Failure::Input, "{}: tokenizer.ggml.pre is '{}', which is not known; known are {}", v.file, v.pre, known_pre_tokenizers());
    }
    if (!v.merges) fail(Failure::Input, "{}: metadata key 'tokenizer.ggml.merges' is missing", v.file);
    auto vocabulary = vocabulary_json(v.tokens, kept_tokens(v));
    auto merges = merges_json(listed_merges(v, vocabulary));
    auto model = bpe_model(std::move(vocabulary), std::move(merges));
    model["ignore_merges"] = pre->ignore_merges;
    return {{"normalizer", pre->normalizer},
            {"pre_tokenizer", pre->pre_tokenizer},
            {"decoder", {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}}},
            {"model", std::move(model)}};
}

Json sentencepiece_parts(const GgufVocabulary& v, std::string_view architecture) {
    const bool gemma = architecture.substr(0, 5) == "gemma";
    auto tokens = v.tokens;
    auto scores = v.scores;
    if (gemma) {
        // Its tokens of several spaces are stored as spaces, and its merges go by position instead of score.
        for (auto& token : tokens) {
            if (token.size() < 2 || token.find_first_not_of(' ') != std::string::npos) continue;
            const auto spaces = token.size();
            token.clear();
            for (std::size_t i = 0; i < spaces; ++i) token += kMetaspace;
        }
        scores.resize(tokens.size());
        for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = -static_cast<double>(i);
    }
    if (!v.merges && scores.size() != tokens.size()) fail(Failure::Input, "{}: metadata key 'tokenizer.ggml.scores' is missing", v.file);
    auto vocabulary = vocabulary_json(tokens, kept_tokens(v));
    auto merges = merges_json(v.merges ? listed_merges(v, vocabulary) : derived_merges(tokens, scores));
    auto model = bpe_model(std::move(vocabulary), std::move(merges));
    model["fuse_unk"] = true;
    model["byte_fallback"] =
        std::find(v.types.begin(), v.types.end(), TokenType::Byte) != v.types.end() || model["vocab"].contains("<0x00>");
    if (v.unk) model["unk_token"] = tokens[static_cast<std::size_t>(*v.unk)];
    Json normalizers = Json::array();
    Json decoders = Json::array({replace(kMetaspace, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
    if (v.add_space_prefix && !gemma) {
        normalizers.push_back({{"type", "Prepend"}, {"prepend", std::string(kMetaspace)}});
        decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    }
    normalizers.push_back(replace(" ", kMetaspace));
    return {{"normalizer", sequence("normalizers", std::move(normalizers))},
            {"pre_tokenizer", nullptr},
            {"decoder", sequence("decoders", std::move(decoders))},
            {"model", std::move(model)}};
}

}  // namespace tandem::io_detail
