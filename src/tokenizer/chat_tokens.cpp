#include "src/tokenizer/chat_template.h"

namespace tandem {

ChatTokens tokenize_chat(const Tokenizer& tokenizer, const ChatTemplate& chat_template, const ChatMessages& messages) {
    const auto rendered = chat_template.render_for_training(messages);
    const auto tokens = tokenizer.encode_with_offsets(rendered.text, AddSpecial::No);
    ChatTokens out;
    out.ids.reserve(tokens.size());
    out.trained.reserve(tokens.size());
    auto span = rendered.trained.begin();
    for (const auto& token : tokens) {
        while (span != rendered.trained.end() && span->second <= token.begin) ++span;
        const bool inside = span != rendered.trained.end() && span->first < token.end && token.begin < span->second;
        out.ids.push_back(token.id);
        out.trained.push_back(inside ? 1 : 0);
    }
    return out;
}

}  // namespace tandem
