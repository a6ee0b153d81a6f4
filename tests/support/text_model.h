// A small model with a tokenizer, for tests of text, made by the program itself.
#pragma once

#include "tests/support/program.h"

namespace tandem::test {

/// A Llama of five layers with a tokenizer of 257 bytes, which no number of ranks divides, and weights of one training step, in fp32.
class TextModel {
public:
    TextModel();
    [[nodiscard]] std::filesystem::path directory() const { return scratch_.path() / "run/model"; }
    /// `tandem COMMAND` with a configuration of this model and of tokens to train on and to evaluate with.
    [[nodiscard]] Arguments words(const std::string& command) const { return words(command, directory()); }
    [[nodiscard]] Arguments words(const std::string& command, const std::filesystem::path& model) const;
    /// A file or directory of its own beside the model.
    [[nodiscard]] std::string operator/(const std::string& name) const { return scratch_ / name; }

private:
    Scratch scratch_;
};

}  // namespace tandem::test
