#include "src/tokenizer/post_processor.h"

namespace tandem {

namespace {

SpecialFrame from_template(const Json& json, const std::filesystem::path& file) {
    SpecialFrame frame;
    bool text_seen = false;
    const auto specials = get<Json>(json, "special_tokens", file);
    for (const auto& piece : get<std::vector<Json>>(json, "single", file)) {
        if (piece.is_object() && piece.contains("Sequence")) {
            if (text_seen || get<std::string>(piece["Sequence"], "id", file) != "A") {
                fail(Failure::Input, "{}: the template of the post-processor holds the text more than once", file.string());
            }
            text_seen = true;
            continue;
        }
        if (!piece.is_object() || !piece.contains("SpecialToken")) {
            fail(Failure::Input, "{}: {} in the template of the post-processor is neither Sequence nor SpecialToken", file.string(),
                 dump_json(piece));
        }
        const auto name = get<std::string>(piece["SpecialToken"], "id", file);
        const auto ids = get<std::vector<std::int32_t>>(get<Json>(specials, name, file), "ids", file);
        auto& side = text_seen ? frame.after : frame.before;
        side.insert(side.end(), ids.begin(), ids.end());
    }
    if (!text_seen) fail(Failure::Input, "{}: the template of the post-processor does not hold the text", file.string());
    return frame;
}

/// BERT's and RoBERTa's: the classifier's token, the text, the separator.
SpecialFrame from_pair(const Json& json, const std::filesystem::path& file) {
    const auto id = [&](const char* key) {
        const auto pair = get<Json>(json, key, file);
        if (!pair.is_array() || pair.size() != 2)
            fail(Failure::Input, R"({}: "{}" of the post-processor must be [token, id])", file.string(), key);
        return json_detail::convert<std::int32_t>(pair[1], key, file.string());
    };
    return {{id("cls")}, {id("sep")}};
}

}  // namespace

SpecialFrame make_special_frame(const Json& json, const std::filesystem::path& file) {
    if (json.is_null()) return {};
    const auto type = get<std::string>(json, "type", file);
    if (type == "ByteLevel") return {};  // changes offsets alone
    if (type == "TemplateProcessing") return from_template(json, file);
    if (type == "BertProcessing" || type == "RobertaProcessing") return from_pair(json, file);
    if (type == "Sequence") {
        SpecialFrame frame;
        for (const auto& part : get<std::vector<Json>>(json, "processors", file)) {
            const SpecialFrame outer = make_special_frame(part, file);
            frame.before.insert(frame.before.begin(), outer.before.begin(), outer.before.end());
            frame.after.insert(frame.after.end(), outer.after.begin(), outer.after.end());
        }
        return frame;
    }
    fail(Failure::Input, "{}: the post-processor {} is not supported", file.string(), type);
}

}  // namespace tandem
