#include "src/tokenizer/decoder.h"

#include <cctype>
#include <charconv>

#include "src/tokenizer/normalizer.h"
#include "src/tokenizer/regex.h"
#include "src/tokenizer/unicode.h"

namespace tandem {

namespace {

constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

class ByteLevel final : public Decoder {
public:
    [[nodiscard]] std::vector<std::string> apply(std::vector<std::string> tokens) const override {
        std::string bytes;
        for (const auto& token : tokens) {
            const std::size_t before = bytes.size();
            bool spelt = true;
            unicode::for_each(token, [&](char32_t c, std::size_t, std::size_t) {
                if (const auto byte = unicode::character_to_byte(c)) bytes.push_back(static_cast<char>(*byte));
                else spelt = false;
            });
            if (!spelt) {  // an added token that stands for itself
                bytes.resize(before);
                bytes += token;
            }
        }
        return {unicode::replace_invalid_utf8(bytes)};
    }
};

class Metaspace final : public Decoder {
public:
    Metaspace(std::string replacement, bool prepended) : replacement_(std::move(replacement)), prepended_(prepended) {}
    [[nodiscard]] std::vector<std::string> apply(std::vector<std::string> tokens) const override {
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            std::string out;
            unicode::for_each(tokens[i], [&](char32_t, std::size_t at, std::size_t length) {
                if (tokens[i].compare(at, length, replacement_) != 0) out.append(tokens[i], at, length);
                else if (i > 0 || !prepended_) out.push_back(' ');
            });
            tokens[i] = std::move(out);
        }
        return tokens;
    }

private:
    std::string replacement_;
    bool prepended_;
};

class Replace final : public Decoder {
public:
    Replace(Regex regex, std::string content) : regex_(std::move(regex)), content_(std::move(content)) {}
    [[nodiscard]] std::vector<std::string> apply(std::vector<std::string> tokens) const override {
        for (auto& token : tokens) {
            std::string out;
            std::size_t copied = 0;
            regex_.for_each_match(token, [&](std::size_t begin, std::size_t end) {
                out.append(token, copied, begin - copied);
                out += content_;
                copied = end;
            });
            out.append(token, copied);
            token = std::move(out);
        }
        return tokens;
    }

private:
    Regex regex_;
    std::string content_;
};

/// Runs of tokens like <0xE2> become their characters, or one U+FFFD a byte where they are none.
class ByteFallback final : public Decoder {
public:
    [[nodiscard]] std::vector<std::string> apply(std::vector<std::string> tokens) const override {
        std::vector<std::string> out;
        std::string bytes;
        const auto flush = [&] {
            if (bytes.empty()) return;
            if (!unicode::find_invalid_utf8(bytes)) out.push_back(bytes);
            else out.insert(out.end(), bytes.size(), std::string(kReplacementCharacter));
            bytes.clear();
        };
        for (auto& token : tokens) {
            if (const int byte = byte_of(token); byte >= 0) {
                bytes.push_back(static_cast<char>(static_cast<unsigned char>(byte)));
            } else {
                flush();
                out.push_back(std::move(token));
            }
        }
        flush();
        return out;
    }

private:
    static int byte_of(std::string_view token) {
        if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return -1;
        int byte = -1;
        if (std::isxdigit(static_cast<unsigned char>(token[3])) == 0) return -1;
        const auto result = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
        return result.ec == std::errc() && result.ptr == token.data() + 5 ? byte : -1;
    }
};

class Fuse final : public Decoder {
public:
    [[nodiscard]] std::vector<std::string> apply(std::vector<std::string> tokens) const override {
        std::string out;
        for (const auto& token : tokens) out += token;
        return {out};
    }
};

/// Takes up to `start` and `stop` copies of a character off the ends of each token.
class Strip final : public Decoder {
public:
    Strip(std::string content, std::size_t start, std::size_t stop) : content_(std::move(content)), start_(start), stop_(stop) {}
    [[nodiscard]] std::vector<std::string> apply(std::vector<std::string> tokens) const override {
        for (auto& token : tokens) {
            std::string_view rest = token;
            for (std::size_t i = 0; i < start_ && rest.starts_with(content_); ++i) rest.remove_prefix(content_.size());
            for (std::size_t i = 0; i < stop_ && rest.ends_with(content_); ++i) rest.remove_suffix(content_.size());
            token = std::string(rest);
        }
        return tokens;
    }

private:
    std::string content_;
    std::size_t start_, stop_;
};

/// A suffix that marks the end of a word becomes a space, but after the last word.
class WordEnds final : public Decoder {
public:
    explicit WordEnds(std::string suffix) : suffix_(std::move(suffix)) {}
    [[nodiscard]] std::vector<std::string> apply(std::vector<std::string> tokens) const override {
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            std::string out;
            std::size_t copied = 0, at = 0;
            while (!suffix_.empty() && (at = tokens[i].find(suffix_, copied)) != std::string::npos) {
                out.append(tokens[i], copied, at - copied);
                if (i + 1 < tokens.size()) out.push_back(' ');
                copied = at + suffix_.size();
            }
            out.append(tokens[i], copied);
            tokens[i] = std::move(out);
        }
        return tokens;
    }

private:
    std::string suffix_;
};

class Sequence final : public Decoder {
public:
    explicit Sequence(std::vector<std::unique_ptr<Decoder>> parts) : parts_(std::move(parts)) {}
    [[nodiscard]] std::vector<std::string> apply(std::vector<std::string> tokens) const override {
        for (const auto& part : parts_) tokens = part->apply(std::move(tokens));
        return tokens;
    }

private:
    std::vector<std::unique_ptr<Decoder>> parts_;
};

}  // namespace

std::unique_ptr<Decoder> make_decoder(const Json& json, const std::filesystem::path& file) {
    if (json.is_null()) return nullptr;
    const auto type = get<std::string>(json, "type", file);
    if (type == "ByteLevel") return std::make_unique<ByteLevel>();
    if (type == "Metaspace") {
        const bool prepended =
            get_or<std::string>(json, "prepend_scheme", "always", file) != "never" && get_or(json, "add_prefix_space", true, file);
        return std::make_unique<Metaspace>(get<std::string>(json, "replacement", file), prepended);
    }
    if (type == "Replace") return std::make_unique<Replace>(make_pattern(json, file), get<std::string>(json, "content", file));
    if (type == "ByteFallback") return std::make_unique<ByteFallback>();
    if (type == "Fuse") return std::make_unique<Fuse>();
    if (type == "Strip") {
        return std::make_unique<Strip>(get<std::string>(json, "content", file), get<std::size_t>(json, "start", file),
                                       get<std::size_t>(json, "stop", file));
    }
    if (type == "BPEDecoder") return std::make_unique<WordEnds>(get_or<std::string>(json, "suffix", "</w>", file));
    if (type == "Sequence") {
        std::vector<std::unique_ptr<Decoder>> parts;
        for (const auto& part : get<std::vector<Json>>(json, "decoders", file)) parts.push_back(make_decoder(part, file));
        std::erase(parts, nullptr);
        return std::make_unique<Sequence>(std::move(parts));
    }
    fail(Failure::Input, "{}: the decoder {} is not supported", file.string(), type);
}

}  // namespace tandem
