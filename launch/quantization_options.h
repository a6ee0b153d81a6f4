// --quantization.* of the commands that read a base as an adapter was trained over it.
#pragma once

#include <optional>
#include <string>

#include "launch/options.h"
#include "src/model/model_description.h"

namespace tandem {

struct QuantizationOptions {
    std::string type = "nf4", double_quant = "true", skip_modules;
    std::int64_t block_size = 64;

    /// quantization.type takes `types`, of which the first is the default.
    void declare(CommandLine& line, const std::vector<std::string>& types, const std::string& meaning);
    /// The first of the options that was given; empty if none was.
    [[nodiscard]] static std::string first_given(const CommandLine& line);
    /// Puts what was given in place of what `section` says. Configuration for a block size that there is not.
    void apply(const CommandLine& line, QuantizationSection& section) const;
};

/// One line, where the adapter records that it was trained over a base in other blocks than the description has; else nothing. `before`
/// goes before the options that give that base.
[[nodiscard]] std::optional<std::string> other_base(const std::string& adapter, const std::string& model,
                                                    const ModelDescription& description, const std::string& before);

}  // namespace tandem
