#include "src/tokenizer/pre_tokenizer.h"

#include <functional>

#include "src/tokenizer/normalizer.h"
#include "src/tokenizer/regex.h"
#include "src/tokenizer/split.h"
#include "src/tokenizer/unicode.h"

namespace tandem {

namespace {

/// Handles one piece of text at a time.
class PieceByPiece : public PreTokenizer {
public:
    [[nodiscard]] std::vector<Piece> apply(std::vector<Piece> pieces) const final {
        std::vector<Piece> out;
        out.reserve(pieces.size() * 2);
        for (Piece& piece : pieces) {
            if (piece.token >= 0) out.push_back(std::move(piece));
            else cut(piece, out);
        }
        return out;
    }

private:
    virtual void cut(const Piece& piece, std::vector<Piece>& out) const = 0;
};

/// \w of the Whitespace pre-tokenizer, whose expression is not run by Oniguruma.
constexpr std::string_view kWordMembers =
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{200c}\\x{200d}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}";

std::vector<Part> parts_of(const Regex& regex, std::string_view text) {
    Parts parts;
    regex.for_each_match(text, [&](std::size_t begin, std::size_t end) { parts.match(begin, end); });
    return parts.finish(text.size());
}

class RegexSplit final : public PieceByPiece {
public:
    RegexSplit(Regex regex, SplitBehavior behavior, bool invert) : regex_(std::move(regex)), behavior_(behavior), invert_(invert) {}

private:
    void cut(const Piece& piece, std::vector<Piece>& out) const override {
        std::vector<Part> parts = parts_of(regex_, piece.text());
        if (invert_) {
            for (Part& part : parts) part.match = !part.match;
        }
        split(piece, std::move(parts), behavior_, out);
    }

    Regex regex_;
    SplitBehavior behavior_;
    bool invert_;
};

class CharacterSplit final : public PieceByPiece {
public:
    CharacterSplit(std::function<bool(char32_t)> delimits, SplitBehavior behavior) : delimits_(std::move(delimits)), behavior_(behavior) {}

private:
    void cut(const Piece& piece, std::vector<Piece>& out) const override {
        Parts parts;
        unicode::for_each(piece.text(), [&](char32_t c, std::size_t at, std::size_t length) {
            if (delimits_(c)) parts.match(at, at + length);
        });
        split(piece, parts.finish(piece.text().size()), behavior_, out);
    }

    std::function<bool(char32_t)> delimits_;
    SplitBehavior behavior_;
};

/// GPT-2's words, spelt in the byte-level alphabet.
class ByteLevel final : public PreTokenizer {
public:
    ByteLevel(bool add_prefix_space, bool use_regex, const std::string& file) : add_prefix_space_(add_prefix_space) {
        if (use_regex) {
            words_.emplace(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", file);
        }
    }

    [[nodiscard]] std::vector<Piece> apply(std::vector<Piece> pieces) const override {
        std::vector<Piece> words;
        words.reserve(pieces.size());
        for (Piece& piece : pieces) {
            if (piece.token < 0 && add_prefix_space_ && piece.text().front() != ' ') piece = with_space(piece);
            if (piece.token < 0 && words_) split(piece, parts_of(*words_, piece.text()), SplitBehavior::Isolated, words);
            else words.push_back(std::move(piece));
        }
        for (std::size_t i = 0; i < words.size();) i = spell_run(words, i);
        return words;
    }

private:
    static Piece with_space(const Piece& piece) {
        auto spaced = std::make_shared<AlignedText>();
        spaced->append(" ", piece.source->origin(piece.begin));
        spaced->append(*piece.source, piece.begin, piece.end);
        return whole(std::move(spaced), piece.original_begin);
    }

    /// Pieces that follow one another in the same text share one spelt text. Returns the piece after the run.
    static std::size_t spell_run(std::vector<Piece>& words, std::size_t first) {
        if (words[first].token >= 0) return first + 1;
        std::size_t last = first + 1;
        while (last < words.size() && words[last].token < 0 && words[last].source == words[first].source &&
               words[last].begin == words[last - 1].end) {
            ++last;
        }
        auto spelt = std::make_shared<AlignedText>(to_byte_level(*words[first].source, words[first].begin, words[last - 1].end));
        std::size_t begin = 0;
        for (std::size_t i = first; i < last; ++i) {
            std::size_t end = begin;  // a byte is spelt by one character
            for (std::size_t byte = words[i].begin; byte < words[i].end; ++byte) end += unicode::length_of(spelt->text[end]);
            words[i] = {spelt, begin, end, words[i].original_begin, -1};
            begin = end;
        }
        return last;
    }

    bool add_prefix_space_;
    std::optional<Regex> words_;
};

/// SentencePiece's way with spaces: U+2581 for each, one before the text, words that begin with it.
class Metaspace final : public PieceByPiece {
public:
    enum class Prepend { Always, First, Never };
    Metaspace(std::string replacement, Prepend prepend, bool cut_words, const std::string& file)
        : replacement_(std::move(replacement)),
          prepend_(prepend),
          cut_words_(cut_words),
          space_(" ", file),
          mark_(escape_regex(replacement_), file) {}

private:
    void cut(const Piece& piece, std::vector<Piece>& out) const override {
        AlignedText own;
        own.append(*piece.source, piece.begin, piece.end);
        AlignedText marked = replace_matches(own, space_, replacement_);
        const bool wanted = prepend_ == Prepend::Always || (prepend_ == Prepend::First && piece.original_begin == 0);
        if (wanted && !marked.text.starts_with(replacement_)) {
            AlignedText prepended;
            prepended.append(replacement_, marked.origin(0));
            prepended.append(marked, 0, marked.text.size());
            marked = std::move(prepended);
        }
        const Piece all = whole(std::make_shared<AlignedText>(std::move(marked)), piece.original_begin);
        if (!cut_words_) out.push_back(all);
        else split(all, parts_of(mark_, all.text()), SplitBehavior::MergedWithNext, out);
    }

    std::string replacement_;
    Prepend prepend_;
    bool cut_words_;
    Regex space_, mark_;
};

class FixedLength final : public PieceByPiece {
public:
    explicit FixedLength(std::size_t length) : length_(length) {}

private:
    void cut(const Piece& piece, std::vector<Piece>& out) const override {
        Parts parts;
        std::size_t begin = 0, characters = 0;
        unicode::for_each(piece.text(), [&](char32_t, std::size_t at, std::size_t length) {
            if (++characters % length_ != 0) return;
            parts.match(begin, at + length);
            begin = at + length;
        });
        split(piece, parts.finish(piece.text().size()), SplitBehavior::Isolated, out);
    }

    std::size_t length_;
};

class Sequence final : public PreTokenizer {
public:
    explicit Sequence(std::vector<std::unique_ptr<PreTokenizer>> parts) : parts_(std::move(parts)) {}
    [[nodiscard]] std::vector<Piece> apply(std::vector<Piece> pieces) const override {
        for (const auto& part : parts_) pieces = part->apply(std::move(pieces));
        return pieces;
    }

private:
    std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

std::unique_ptr<PreTokenizer> make_metaspace(const Json& json, const std::filesystem::path& file) {
    auto prepend = Metaspace::Prepend::Always;
    const auto scheme = find<std::string>(json, "prepend_scheme", file);
    if (scheme == "first") prepend = Metaspace::Prepend::First;
    else if (scheme == "never") prepend = Metaspace::Prepend::Never;
    else if (scheme && scheme != "always")
        fail(Failure::Input, "{}: the Metaspace prepend_scheme {} is not supported", file.string(), *scheme);
    if (!get_or(json, "add_prefix_space", true, file)) {
        if (scheme && prepend != Metaspace::Prepend::Never) {
            fail(Failure::Input, "{}: Metaspace has add_prefix_space = false and prepend_scheme = {}, which contradict each other",
                 file.string(), *scheme);
        }
        prepend = Metaspace::Prepend::Never;
    }
    return std::make_unique<Metaspace>(get<std::string>(json, "replacement", file), prepend, get_or(json, "split", true, file),
                                       file.string());
}

std::unique_ptr<PreTokenizer> make_sequence(std::vector<std::unique_ptr<PreTokenizer>> parts) {
    std::erase(parts, nullptr);
    return std::make_unique<Sequence>(std::move(parts));
}

}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const Json& json, const std::filesystem::path& file) {
    if (json.is_null()) return nullptr;
    const auto type = get<std::string>(json, "type", file);
    const auto characters = [](auto predicate, SplitBehavior behavior) { return std::make_unique<CharacterSplit>(predicate, behavior); };
    if (type == "ByteLevel") {
        return std::make_unique<ByteLevel>(get<bool>(json, "add_prefix_space", file), get_or(json, "use_regex", true, file), file.string());
    }
    if (type == "Split") {
        return std::make_unique<RegexSplit>(make_pattern(json, file), parse_split_behavior(json, SplitBehavior::Removed, file),
                                            get<bool>(json, "invert", file));
    }
    if (type == "Digits") {
        return characters(unicode::is_numeric,
                          get<bool>(json, "individual_digits", file) ? SplitBehavior::Isolated : SplitBehavior::Contiguous);
    }
    if (type == "Metaspace") return make_metaspace(json, file);
    if (type == "Punctuation") return characters(unicode::is_punctuation, parse_split_behavior(json, SplitBehavior::Isolated, file));
    if (type == "Whitespace") {
        const std::string pattern = fmt::format("[{0}]+|[^\\s{0}]+", kWordMembers);
        return std::make_unique<RegexSplit>(Regex(pattern, file.string()), SplitBehavior::Removed, true);
    }
    if (type == "WhitespaceSplit") return characters(unicode::is_white_space, SplitBehavior::Removed);
    if (type == "BertPreTokenizer") {
        std::vector<std::unique_ptr<PreTokenizer>> parts;
        parts.push_back(characters(unicode::is_white_space, SplitBehavior::Removed));
        parts.push_back(characters(unicode::is_punctuation, SplitBehavior::Isolated));
        return make_sequence(std::move(parts));
    }
    if (type == "CharDelimiterSplit") {
        const auto delimiter = get<std::string>(json, "delimiter", file);
        if (delimiter.empty()) fail(Failure::Input, "{}: CharDelimiterSplit needs a delimiter", file.string());
        return characters([c = unicode::decode(delimiter, 0)](char32_t other) { return other == c; }, SplitBehavior::Removed);
    }
    if (type == "FixedLength") {
        const auto length = get_or<std::size_t>(json, "length", 5, file);
        if (length == 0) fail(Failure::Input, "{}: FixedLength needs a length of at least 1", file.string());
        return std::make_unique<FixedLength>(length);
    }
    if (type == "Sequence") {
        std::vector<std::unique_ptr<PreTokenizer>> parts;
        for (const auto& part : get<std::vector<Json>>(json, "pretokenizers", file)) parts.push_back(make_pre_tokenizer(part, file));
        return make_sequence(std::move(parts));
    }
    fail(Failure::Input, "{}: the pre-tokenizer {} is not supported", file.string(), type);
}

}  // namespace tandem
