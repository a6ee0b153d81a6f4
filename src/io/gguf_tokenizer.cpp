#include "src/io/gguf_tokenizer.h"

#include <algorithm>
#include <set>

#include "kernels/base/error.h"

namespace tandem::io_detail {

namespace {

/// A token id in the metadata, or nothing; Input if there is no such token.
std::optional<std::int64_t> token_id(const GgufFile& file, std::string_view key, std::size_t tokens) {
    const auto id = file.integer(key);
    if (!id) return std::nullopt;
    if (*id == 0xFFFFFFFF || *id == -1) return std::nullopt;  // llama.cpp's "none"
    if (*id < 0 || *id >= static_cast<std::int64_t>(tokens)) {
        fail(Failure::Input, "{}: metadata key '{}' is {}, but there are {} tokens", file.path().string(), key, *id, tokens);
    }
    return id;
}

void read_special_ids(const GgufFile& file, GgufVocabulary& v) {
    v.bos = token_id(file, "tokenizer.ggml.bos_token_id", v.tokens.size());
    v.eos = token_id(file, "tokenizer.ggml.eos_token_id", v.tokens.size());
    v.eot = token_id(file, "tokenizer.ggml.eot_token_id", v.tokens.size());
    v.unk = token_id(file, "tokenizer.ggml.unknown_token_id", v.tokens.size());
    v.pad = token_id(file, "tokenizer.ggml.padding_token_id", v.tokens.size());
    if (v.model != "llama") return;
    // Where a SentencePiece file does not say, llama.cpp assumes the ids of the first Llama.
    if (!v.unk) {
        const auto found = std::find(v.types.begin(), v.types.end(), TokenType::Unknown);
        if (found != v.types.end()) v.unk = found - v.types.begin();
    }
    if (!v.bos && v.tokens.size() > 1 && v.tokens[1] == "<s>") v.bos = 1;
    if (!v.eos && v.tokens.size() > 2 && v.tokens[2] == "</s>") v.eos = 2;
}

/// id -> special (left out when decoding for people) or not; ascending.
std::map<std::int64_t, bool> added_tokens(const GgufVocabulary& v) {
    std::map<std::int64_t, bool> added;
    const bool sentencepiece = v.model == "llama";
    for (std::size_t i = 0; i < v.tokens.size(); ++i) {
        if (v.tokens[i].empty()) continue;
        const auto id = static_cast<std::int64_t>(i);
        if (v.types[i] == TokenType::Control || (v.types[i] == TokenType::Unknown && sentencepiece)) added[id] = true;
        // Runs of spaces are ordinary pieces of a SentencePiece model that its converter has marked.
        const bool spaces = sentencepiece && v.tokens[i].find_first_not_of(' ') == std::string::npos;
        if (v.types[i] == TokenType::UserDefined && !spaces) added[id] = false;
    }
    for (const auto& id : {v.bos, v.eos, v.unk, v.pad}) {
        if (id) added[*id] = true;
    }
    return added;
}

Json added_token(const GgufVocabulary& v, std::int64_t id, bool special) {
    return {{"content", v.tokens[static_cast<std::size_t>(id)]},
            {"lstrip", false},
            {"normalized", false},
            {"rstrip", false},
            {"single_word", false},
            {"special", special}};
}

/// <bos> A <eos>, as the file wants them added.
Json post_processor(const GgufVocabulary& v) {
    if (!v.add_bos && !v.add_eos) return nullptr;
    Json single = Json::array(), pair = Json::array(), special = Json::object();
    const auto add_special = [&](std::int64_t id, Json& list, int type) {
        const auto& token = v.tokens[static_cast<std::size_t>(id)];
        list.push_back({{"SpecialToken", {{"id", token}, {"type_id", type}}}});
        special[token] = {{"id", token}, {"ids", {id}}, {"tokens", {token}}};
    };
    const auto add_text = [](const char* name, Json& list, int type) { list.push_back({{"Sequence", {{"id", name}, {"type_id", type}}}}); };
    for (auto* list : {&single, &pair}) {
        if (v.add_bos) add_special(*v.bos, *list, 0);
        add_text("A", *list, 0);
        if (v.add_eos) add_special(*v.eos, *list, 0);
    }
    if (v.add_bos) add_special(*v.bos, pair, 1);
    add_text("B", pair, 1);
    if (v.add_eos) add_special(*v.eos, pair, 1);
    return {
        {"type", "TemplateProcessing"}, {"single", std::move(single)}, {"pair", std::move(pair)}, {"special_tokens", std::move(special)}};
}

void read_flags(const GgufFile& file, GgufVocabulary& v) {
    const bool sentencepiece = v.model == "llama";
    const auto pre = find_pre_tokenizer(v.pre, false);
    v.add_bos = file.boolean("tokenizer.ggml.add_bos_token").value_or(sentencepiece || (pre && pre->add_bos));
    v.add_eos = file.boolean("tokenizer.ggml.add_eos_token").value_or(false);
    v.add_space_prefix = file.boolean("tokenizer.ggml.add_space_prefix").value_or(sentencepiece);
    if (v.add_bos && !v.bos) fail(Failure::Input, "{}: a first token is to be added, but 'tokenizer.ggml.bos_token_id' is missing", v.file);
    if (v.add_eos && !v.eos) fail(Failure::Input, "{}: a last token is to be added, but 'tokenizer.ggml.eos_token_id' is missing", v.file);
}

}  // namespace

GgufVocabulary read_vocabulary(const GgufFile& file, std::int64_t vocabulary) {
    GgufVocabulary v;
    v.file = file.path().string();
    auto tokens = file.texts("tokenizer.ggml.tokens");
    if (!tokens || tokens->empty())
        fail(Failure::Input, "{}: metadata key 'tokenizer.ggml.tokens' is missing: the file has no tokenizer", v.file);
    v.tokens = std::move(*tokens);
    if (static_cast<std::int64_t>(v.tokens.size()) > vocabulary) {
        fail(Failure::Input, "{}: 'tokenizer.ggml.tokens' has {} tokens, but the embedding only {} rows", v.file, v.tokens.size(),
             vocabulary);
    }
    v.model = file.text("tokenizer.ggml.model").value_or("");
    v.pre = file.text("tokenizer.ggml.pre").value_or("default");
    const auto types = file.integers("tokenizer.ggml.token_type").value_or(std::vector<std::int64_t>(v.tokens.size(), 1));
    for (const auto type : types) v.types.push_back(type >= 1 && type <= 6 ? static_cast<TokenType>(type) : TokenType::Normal);
    v.scores = file.numbers("tokenizer.ggml.scores").value_or(std::vector<double>{});
    v.merges = file.texts("tokenizer.ggml.merges");
    for (const auto& [key, size] :
         {std::pair{"token_type", v.types.size()}, std::pair{"scores", v.scores.empty() ? v.tokens.size() : v.scores.size()}}) {
        if (size != v.tokens.size())
            fail(Failure::Input, "{}: 'tokenizer.ggml.{}' has {} entries for {} tokens", v.file, key, size, v.tokens.size());
    }
    read_special_ids(file, v);
    read_flags(file, v);
    v.chat_template = file.text("tokenizer.chat_template");
    return v;
}

Json tokenizer_json(const GgufVocabulary& v, std::string_view architecture) {
    Json json;
    if (v.model == "gpt2") json = byte_level_parts(v);
    else if (v.model == "llama") json = sentencepiece_parts(v, architecture);
    else fail(Failure::Input, "{}: tokenizer.ggml.model is '{}', which is not known; known are gpt2 and llama", v.file, v.model);
    json["version"] = "1.0";
    json["truncation"] = nullptr;
    json["padding"] = nullptr;
    json["added_tokens"] = Json::array();
    for (const auto& [id, special] : added_tokens(v)) {
        json["added_tokens"].push_back(added_token(v, id, special));
        json["added_tokens"].back()["id"] = id;
    }
    json["post_processor"] = post_processor(v);
    return json;
}

Json special_tokens_map(const GgufVocabulary& v) {
    Json map = Json::object();
    for (const auto& [key, id] :
         {std::pair{"bos_token", v.bos}, std::pair{"eos_token", v.eos}, std::pair{"unk_token", v.unk}, std::pair{"pad_token", v.pad}}) {
        if (id) map[key] = v.tokens[static_cast<std::size_t>(*id)];
    }
    return map;
}

Json tokenizer_config(const GgufVocabulary& v, std::int64_t positions) {
    auto config = special_tokens_map(v);
    config["tokenizer_class"] = "PreTrainedTokenizerFast";  // takes tokenizer.json as it is
    config["add_bos_token"] = v.add_bos;
    config["add_eos_token"] = v.add_eos;
    config["clean_up_tokenization_spaces"] = false;
    config["model_max_length"] = positions;
    if (v.chat_template) config["chat_template"] = *v.chat_template;
    config["added_tokens_decoder"] = Json::object();
    for (const auto& [id, special] : added_tokens(v)) config["added_tokens_decoder"][std::to_string(id)] = added_token(v, id, special);
    return config;
}

}  // namespace tandem::io_detail
