#include "src/tokenizer/bpe.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <queue>

#include "src/tokenizer/unicode.h"

namespace tandem {

namespace {

std::atomic<std::uint64_t> next_instance{1};

/// Words that a thread has met, of the model it used last.
struct WordCache {
    static constexpr std::size_t kWords = 1U << 16U, kBytes = 256;
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    std::uint64_t instance = 0;
    std::unordered_map<std::string, std::vector<Symbol>, Hash, std::equal_to<>> words;
};

WordCache& word_cache(std::uint64_t instance) {
    static thread_local WordCache cache;
    if (cache.instance != instance || cache.words.size() >= WordCache::kWords) {
        cache.words.clear();
        cache.instance = instance;
    }
    return cache;
}

constexpr std::int64_t kLargestId = (1 << 24);  // a vocabulary beyond 16 million tokens is a damaged file

}  // namespace

Bpe::Bpe(const Json& json, const std::filesystem::path& file) : file_(file.string()), instance_(next_instance++) {
    const auto type = get_or<std::string>(json, "type", "BPE", file);
    if (type != "BPE") fail(Failure::Input, "{}: the tokenizer model {} is not supported; BPE is", file.string(), type);
    const auto dropout = find<double>(json, "dropout", file);
    if (dropout && *dropout != 0)
        fail(Failure::Input, "{}: BPE dropout ({}) is not supported: the same text must give the same tokens", file.string(), *dropout);
    unknown_ = find<std::string>(json, "unk_token", file);
    prefix_ = get_or<std::string>(json, "continuing_subword_prefix", "", file);
    suffix_ = get_or<std::string>(json, "end_of_word_suffix", "", file);
    fuse_unknown_ = get_or(json, "fuse_unk", false, file);
    byte_fallback_ = get_or(json, "byte_fallback", false, file);
    ignore_merges_ = get_or(json, "ignore_merges", false, file);
    load_vocabulary(get<Json>(json, "vocab", file), file);
    load_merges(get<Json>(json, "merges", file), file);
    if (unknown_) unknown_id_ = id_of(*unknown_);
    for (unsigned byte = 0; byte < 256; ++byte) byte_ids_[byte] = id_of(fmt::format("<0x{:02X}>", byte));
}

void Bpe::load_vocabulary(const Json& vocabulary, const std::filesystem::path& file) {
    if (!vocabulary.is_object()) fail(Failure::Input, R"({}: "vocab" of the model must be an object of token: id)", file.string());
    ids_.reserve(vocabulary.size());
    for (const auto& [token, value] : vocabulary.items()) {
        const auto id = json_detail::convert<std::int64_t>(value, "vocab", file.string());
        if (id < 0 || id > kLargestId)
            fail(Failure::Input, "{}: the token {} has id {}, expected 0 to {}", file.string(), token, id, kLargestId);
        const auto at = static_cast<std::size_t>(id);
        if (at >= tokens_.size()) {
            tokens_.resize(at + 1);
            present_.resize(at + 1);
        }
        tokens_[at] = token;
        present_[at] = true;
        ids_.emplace(token, static_cast<std::int32_t>(id));
    }
}

void Bpe::load_merges(const Json& merges, const std::filesystem::path& file) {
    if (!merges.is_array()) fail(Failure::Input, R"({}: "merges" of the model must be an array)", file.string());
    merges_.reserve(merges.size());
    std::uint32_t rank = 0;
    for (const auto& merge : merges) {
        if (merge.is_string()) {
            const auto& text = merge.get_ref<const std::string&>();
            if (text.starts_with("#version")) continue;
            const std::size_t space = text.find(' ');
            if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
                fail(Failure::Input, "{}: merge {} is {}, expected two tokens with a space between them", file.string(), rank,
                     dump_json(merge));
            }
            add_merge(std::string_view(text).substr(0, space), std::string_view(text).substr(space + 1), rank, file);
        } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
            add_merge(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>(), rank, file);
        } else {
            fail(Failure::Input, "{}: merge {} is {}, expected a pair of tokens", file.string(), rank, dump_json(merge));
        }
        ++rank;
    }
}

void Bpe::add_merge(std::string_view left, std::string_view right, std::uint32_t rank, const std::filesystem::path& file) {
    const auto known = [&](std::string_view token) {
        const auto id = id_of(token);
        if (!id)
            fail(Failure::Input, "{}: merge {} ({} {}) needs the token {}, which is not in the vocabulary", file.string(), rank, left,
                 right, token);
        return *id;
    };
    const std::int32_t a = known(left), b = known(right);
    if (right.size() < prefix_.size()) fail(Failure::Input, "{}: merge {}: {} does not begin with {}", file.string(), rank, right, prefix_);
    merges_.insert(a, b, {rank, known(fmt::format("{}{}", left, right.substr(prefix_.size())))});
}

std::optional<std::int32_t> Bpe::id_of(std::string_view token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const std::string* Bpe::token_of(std::int32_t id) const {
    const auto at = static_cast<std::size_t>(id);
    return id >= 0 && at < tokens_.size() && present_[at] ? &tokens_[at] : nullptr;
}

void Bpe::encode(std::string_view word, std::vector<Symbol>& out) const {
    if (word.empty()) return;
    if (ignore_merges_) {
        if (const auto id = id_of(word)) {
            out.push_back({*id, static_cast<std::uint32_t>(word.size())});
            return;
        }
    }
    WordCache& cache = word_cache(instance_);
    if (const auto known = cache.words.find(word); known != cache.words.end()) {
        out.insert(out.end(), known->second.begin(), known->second.end());
        return;
    }
    std::vector<Symbol> symbols = characters_of(word);
    merge_all(symbols);
    out.insert(out.end(), symbols.begin(), symbols.end());
    if (word.size() <= WordCache::kBytes) cache.words.emplace(word, std::move(symbols));
}

bool Bpe::append_bytes(std::string_view character, std::vector<Symbol>& symbols) const {
    const auto id = [&](char c) { return byte_ids_[static_cast<unsigned char>(c)]; };
    if (!std::all_of(character.begin(), character.end(), [&](char c) { return id(c).has_value(); })) return false;
    for (const char c : character) symbols.push_back({*id(c), 1});
    return true;
}

/// The word's characters as tokens; those that are none become their bytes or the unknown token, or vanish where the model
/// has neither. A run of unknown characters waits to be fused, also across bytes: the library does the same.
std::vector<Symbol> Bpe::characters_of(std::string_view word) const {
    std::vector<Symbol> symbols;
    symbols.reserve(word.size());
    std::optional<Symbol> pending;
    std::string spelt;
    unicode::for_each(word, [&](char32_t, std::size_t at, std::size_t length) {
        std::string_view character = word.substr(at, length);
        const bool last = at + length == word.size();
        if ((at > 0 && !prefix_.empty()) || (last && !suffix_.empty())) {
            spelt = fmt::format("{}{}{}", at > 0 ? prefix_ : "", character, last ? suffix_ : "");
            character = spelt;
        }
        const auto bytes = static_cast<std::uint32_t>(length);
        if (const auto id = id_of(character)) {
            if (pending) symbols.push_back(*pending);
            pending.reset();
            symbols.push_back({*id, bytes});
        } else if (!(byte_fallback_ && append_bytes(character, symbols)) && unknown_) {
            if (!unknown_id_) {
                fail(Failure::Input, "{}: {} is not in the vocabulary, and neither is the unknown token {}", file_, character, *unknown_);
            }
            if (pending && fuse_unknown_) {
                pending->bytes += bytes;
            } else {
                if (pending) symbols.push_back(*pending);
                pending = {*unknown_id_, bytes};
            }
        }
    });
    if (pending) symbols.push_back(*pending);
    return symbols;
}

/// Merges the pair of lowest rank, leftmost first, until none is left.
void Bpe::merge_all(std::vector<Symbol>& symbols) const {
    struct Candidate {
        std::uint32_t rank;
        std::int32_t at, id;
        bool operator<(const Candidate& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
    };
    const auto count = static_cast<std::int32_t>(symbols.size());
    std::vector<Node> nodes(symbols.size());
    std::vector<Candidate> first;
    for (std::int32_t i = 0; i < count; ++i) {
        const Symbol& symbol = symbols[static_cast<std::size_t>(i)];
        nodes[static_cast<std::size_t>(i)] = {symbol.id, symbol.bytes, i - 1, i + 1 < count ? i + 1 : -1};
        if (i + 1 == count) break;
        if (const Merge* merge = merges_.find(symbol.id, symbols[static_cast<std::size_t>(i + 1)].id))
            first.push_back({merge->rank, i, merge->id});
    }
    std::priority_queue<Candidate> queue(std::less<Candidate>{}, std::move(first));
    const auto node = [&](std::int32_t i) -> Node& { return nodes[static_cast<std::size_t>(i)]; };
    const auto propose = [&](std::int32_t left, std::int32_t right) {
        if (const Merge* merge = merges_.find(node(left).id, node(right).id)) queue.push({merge->rank, left, merge->id});
    };
    while (!queue.empty()) {
        const Candidate top = queue.top();
        queue.pop();
        Node& left = node(top.at);
        if (left.bytes == 0 || left.next < 0) continue;
        Node& right = node(left.next);
        const Merge* merge = merges_.find(left.id, right.id);
        if (merge == nullptr || merge->id != top.id) continue;  // one of the two has changed since
        left.id = top.id;
        left.bytes += right.bytes;
        left.next = right.next;
        right.bytes = 0;
        if (left.next >= 0) node(left.next).previous = top.at;
        if (left.previous >= 0) propose(left.previous, top.at);
        if (left.next >= 0) propose(top.at, left.next);
    }
    symbols.clear();
    for (const Node& n : nodes) {
        if (n.bytes != 0) symbols.push_back({n.id, n.bytes});
    }
}

void Bpe::MergeTable::reserve(std::size_t count) { slots_.assign(std::bit_ceil(count * 2 + 2), {}); }

std::size_t Bpe::MergeTable::slot_of(std::uint64_t key) const {
    std::uint64_t hash = key * 0x9E3779B97F4A7C15U;
    std::size_t at = (hash ^ hash >> 32U) & (slots_.size() - 1);
    while (slots_[at].key != kEmpty && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
    return at;
}

void Bpe::MergeTable::insert(std::int32_t left, std::int32_t right, Merge merge) {
    const std::uint64_t key = key_of(left, right);
    slots_[slot_of(key)] = {key, merge};  // of a repeated pair the last counts
}

const Bpe::Merge* Bpe::MergeTable::find(std::int32_t left, std::int32_t right) const {
    const Slot& slot = slots_[slot_of(key_of(left, right))];
    return slot.key == kEmpty ? nullptr : &slot.merge;
}

}  // namespace tandem
