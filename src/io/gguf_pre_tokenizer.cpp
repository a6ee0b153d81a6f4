#include "src/io/gguf_tokenizer.h"

namespace tandem::io_detail {

namespace {

// The regular expressions of the models' own tokenizer.json files.
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepSeek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

enum class Split { Gpt2, Digits, Llama3, Qwen2, Tekken, Gpt4o, DeepSeekCoder, DeepSeek3 };

struct Known {
    std::string_view name;
    Split split;
    bool nfc = false;
    bool ignore_merges = false;
    bool add_bos = false;
};

constexpr Known kKnown[] = {
    {"default", Split::Gpt2},
    {"gpt-2", Split::Gpt2},
    {"phi-2", Split::Gpt2},
    {"smollm", Split::Digits},
    {"starcoder", Split::Digits},
    {"refact", Split::Digits},
    {"command-r", Split::Digits},
    {"codeshell", Split::Digits},
    {"llama3", Split::Llama3, false, true, true},
    {"llama-v3", Split::Llama3, false, true, true},
    {"llama-bpe", Split::Llama3, false, true, true},
    {"falcon3", Split::Llama3, false, true, true},
    {"pixtral", Split::Llama3, false, true, true},
    {"smaug-bpe", Split::Llama3},
    {"dbrx", Split::Llama3},
    {"qwen2", Split::Qwen2, true},
    {"deepseek-r1-qwen", Split::Qwen2, true},
    {"tekken", Split::Tekken, false, true, true},
    {"gpt-4o", Split::Gpt4o},
    {"deepseek-coder", Split::DeepSeekCoder},
    {"deepseek-v3", Split::DeepSeek3},
};

Json split(std::string_view pattern) {
    return {{"type", "Split"}, {"pattern", {{"Regex", std::string(pattern)}}}, {"behavior", "Isolated"}, {"invert", false}};
}

Json byte_level(bool add_prefix_space, bool use_regex) {
    return {{"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Json digits() { return {{"type", "Digits"}, {"individual_digits", true}}; }

/// The steps before the byte alphabet; those of `gpt2` are inside of ByteLevel.
Json steps(Split kind) {
    switch (kind) {
        case Split::Gpt2: return Json::array();
        case Split::Digits: return Json::array({digits()});
        case Split::Llama3: return Json::array({split(kLlama3)});
        case Split::Qwen2: return Json::array({split(kQwen2)});
        case Split::Tekken: return Json::array({split(kTekken)});
        case Split::Gpt4o: return Json::array({split(kGpt4o)});
        case Split::DeepSeekCoder:
            return Json::array(
                {split("[\r\n]"), split(R"(\s?\p{L}+)"), split(R"(\s?\p{P}+)"), split("[一-龥ࠀ-一가-퟿]+"), digits()});
        case Split::DeepSeek3: return Json::array({split(R"(\p{N}{1,3})"), split("[一-龥぀-ゟ゠-ヿ]+"), split(kDeepSeek3)});
    }
    return Json::array();
}

}  // namespace

std::optional<PreTokenizer> find_pre_tokenizer(std::string_view name, bool add_prefix_space) {
    for (const auto& known : kKnown) {
        if (known.name != name) continue;
        const bool use_regex = known.split == Split::Gpt2 || known.split == Split::Digits;
        auto sequence = steps(known.split);
        sequence.push_back(byte_level(add_prefix_space, use_regex));
        const Json normalizer = known.nfc ? Json{{"type", "NFC"}} : Json(nullptr);
        if (sequence.size() == 1) return PreTokenizer{sequence[0], normalizer, known.ignore_merges, known.add_bos};
        return PreTokenizer{{{"type", "Sequence"}, {"pretokenizers", std::move(sequence)}}, normalizer, known.ignore_merges, known.add_bos};
    }
    return std::nullopt;
}

std::string known_pre_tokenizers() {
    std::string names;
    for (const auto& known : kKnown) names += (names.empty() ? "" : ", ") + std::string(known.name);
    return names;
}

}  // namespace tandem::io_detail
