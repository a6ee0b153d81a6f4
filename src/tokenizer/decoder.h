// The decoders of tokenizer.json: ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip, BPEDecoder, Sequence.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "src/io/json.h"

namespace tandem {

class Decoder {
public:
    virtual ~Decoder() = default;
    /// From tokens' texts towards plain text; the results are joined with nothing between them.
    [[nodiscard]] virtual std::vector<std::string> apply(std::vector<std::string> tokens) const = 0;
};

/// `json` is the "decoder" of `file`; null gives nothing (tokens are then joined with spaces). Throws Input naming a type that
/// is not supported.
[[nodiscard]] std::unique_ptr<Decoder> make_decoder(const Json& json, const std::filesystem::path& file);

}  // namespace tandem
