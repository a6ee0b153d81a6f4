// Jinja2's grammar: from tokens to nodes.
#pragma once

#include <string>

#include "src/tokenizer/jinja/ast.h"

namespace tandem::jinja {

struct Parsed {
    Block block;
    bool marks_generation = false;  ///< there is a {% generation %}
};

/// Throws Input naming origin and line; statements that read other templates (include, import, extends, block) are refused.
[[nodiscard]] Parsed parse(const std::string& source, const std::string& origin);

}  // namespace tandem::jinja
