#include "src/tokenizer/special_ids.h"

#include <algorithm>

#include "src/io/json.h"
#include "src/io/model_directory.h"

namespace tandem {

namespace {

Json read_if_there(const std::filesystem::path& file) { return has_model_file(file) ? read_model_json(file) : Json::object(); }

/// A token is written as its text or as an object that describes it.
std::optional<std::string> token_text(const Json& owner, std::string_view role, const std::filesystem::path& file) {
    const auto found = owner.find(std::string(role));
    if (!owner.is_object() || found == owner.end() || found->is_null()) return std::nullopt;
    if (found->is_object()) return get<std::string>(*found, "content", file);
    return get<std::string>(owner, role, file);
}

/// "eos_token_id": one id or a list; nothing if absent or null.
std::vector<std::int32_t> ids_in(const Json& owner, std::string_view key, const std::filesystem::path& file) {
    const auto found = owner.find(std::string(key));
    if (!owner.is_object() || found == owner.end() || found->is_null()) return {};
    if (found->is_array()) return get<std::vector<std::int32_t>>(owner, key, file);
    const auto id = get<std::int32_t>(owner, key, file);
    return id < 0 ? std::vector<std::int32_t>{} : std::vector<std::int32_t>{id};
}

}  // namespace

std::optional<std::string> special_token_text(const std::filesystem::path& model_directory, std::string_view role) {
    for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
        const auto file = model_directory / name;
        if (auto text = token_text(read_if_there(file), role, file)) return text;
    }
    return std::nullopt;
}

SpecialIds load_special_ids(const std::filesystem::path& model_directory,
                            const std::function<std::optional<std::int32_t>(std::string_view)>& id_of) {
    const auto generation_file = model_directory / "generation_config.json", config_file = model_directory / "config.json";
    const Json generation = read_if_there(generation_file), config = read_if_there(config_file);
    const auto role = [&](const std::string& name) -> std::optional<std::int32_t> {
        // Both files are read even where the token's text decides: a wrong type in them is an error in any case.
        const auto first = ids_in(generation, name + "_token_id", generation_file),
                   second = ids_in(config, name + "_token_id", config_file);
        if (const auto text = special_token_text(model_directory, name + "_token")) {
            if (const auto id = id_of(*text)) return id;
        }
        if (!first.empty()) return first.front();
        return second.empty() ? std::nullopt : std::optional(second.front());
    };
    SpecialIds out{role("bos"), role("eos"), role("pad"), {}};
    if (out.eos) out.ends.push_back(*out.eos);
    for (const std::int32_t id : ids_in(generation, "eos_token_id", generation_file)) {
        if (std::find(out.ends.begin(), out.ends.end(), id) == out.ends.end()) out.ends.push_back(id);
    }
    return out;
}

void apply_add_bos_eos(const std::filesystem::path& model_directory, const SpecialIds& ids, SpecialFrame& frame) {
    const auto file = model_directory / "tokenizer_config.json";
    const Json config = read_if_there(file);
    const auto add_bos = find<bool>(config, "add_bos_token", file), add_eos = find<bool>(config, "add_eos_token", file);
    if (!add_bos && !add_eos) return;
    frame = {};
    if (add_bos.value_or(false) && ids.bos) frame.before.push_back(*ids.bos);
    if (add_eos.value_or(false) && ids.eos) frame.after.push_back(*ids.eos);
}

}  // namespace tandem
