#include "src/config/option_table.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "src/config/option_builder.h"

namespace tandem {
namespace {

/// What the same thing is called in transformers, PEFT, Axolotl and LLaMA-Factory, where no spelling rule would find it.
constexpr std::array<std::pair<std::string_view, std::string_view>, 26> kForeignNames = {{
    {"rank", "lora.r"},
    {"lora_r", "lora.r"},
    {"lora_rank", "lora.r"},
    {"lora_alpha", "lora.alpha"},
    {"lora_dropout", "lora.dropout"},
    {"lora_target", "lora.target_modules"},
    {"lora_target_modules", "lora.target_modules"},
    {"use_rslora", "lora.rslora"},
    {"base_model", "model.path"},
    {"model_name_or_path", "model.path"},
    {"finetuning_type", "method.type"},
    {"num_epochs", "training.epochs"},
    {"num_train_epochs", "training.epochs"},
    {"micro_batch_size", "training.micro_batch_size"},
    {"per_device_train_batch_size", "training.micro_batch_size"},
    {"gradient_accumulation_steps", "training.global_batch_size"},
    {"batch_size", "training.global_batch_size"},
    {"gradient_checkpointing", "training.recompute"},
    {"lr", "optimizer.learning_rate"},
    {"lr_scheduler", "schedule.type"},
    {"lr_scheduler_type", "schedule.type"},
    {"sequence_len", "data.max_seq_length"},
    {"cutoff_len", "data.max_seq_length"},
    {"sample_packing", "data.packing"},
    {"save_steps", "checkpoint.every"},
    {"logging_steps", "log.every"},
}};

std::string section_line(std::string_view section) { return fmt::format("\n[{}]\n", section); }

/// `text` in lines of at most `width` letters, later ones indented by `indent`.
std::string wrapped(std::string_view text, std::size_t width, std::size_t indent) {
    std::string out;
    std::size_t column = 0;
    while (!text.empty()) {
        const auto word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(text.size(), word.size() + 1));
        if (column != 0 && column + 1 + word.size() > width) {
            out += '\n' + std::string(indent, ' ');
            column = 0;
        } else if (column != 0) {
            out += ' ', ++column;
        }
        out += word;
        column += word.size();
    }
    return out;
}

}  // namespace

std::string enumerated(const std::vector<std::string>& words) {
    std::string out;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i != 0) out += i + 1 == words.size() ? " or " : ", ";
        out += words[i];
    }
    return out;
}

std::string as_typed(const nlohmann::ordered_json& value, std::string_view absent) {
    if (value.is_null()) return std::string(absent);
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number_float()) return shortest(value.get<double>());
    if (!value.is_array()) return value.dump();
    std::string out;
    for (const auto& entry : value) out += (out.empty() ? "" : ",") + as_typed(entry, absent);
    return out;
}

std::string default_text(const Option& option, std::string_view absent) {
    const RunConfig defaults;
    return as_typed(option.get(defaults), absent);
}

const std::vector<Option>& option_table() {
    static const std::vector<Option> table = [] {
        std::vector<Option> rows;
        add_model_options(rows);
        add_data_options(rows);
        add_training_options(rows);
        add_run_options(rows);
        return rows;
    }();
    return table;
}

const Option* find_option(std::string_view key) {
    const auto& table = option_table();
    const auto found = std::find_if(table.begin(), table.end(), [key](const Option& option) { return option.key == key; });
    return found == table.end() ? nullptr : &*found;
}

const std::vector<std::string>& option_sections() {
    static const std::vector<std::string> sections = [] {
        std::vector<std::string> names;
        for (const auto& option : option_table()) {
            if (std::find(names.begin(), names.end(), option.section()) == names.end()) names.emplace_back(option.section());
        }
        return names;
    }();
    return sections;
}

std::string nearest_key(std::string_view unknown) {
    const auto leaf = unknown.substr(unknown.rfind('.') + 1);  // npos + 1 is 0: no section, all of it
    std::vector<std::string> keys, leaves, same_leaf;
    for (const auto& option : option_table()) {
        keys.push_back(option.key);
        leaves.emplace_back(option.leaf());
        if (option.leaf() == leaf) same_leaf.push_back(option.key);
    }
    auto near = nearest(unknown, keys);
    if (!near.empty() && edit_distance(unknown, near) <= 1) return near;
    if (!same_leaf.empty()) {
        const auto closer = [unknown](const auto& a, const auto& b) { return edit_distance(unknown, a) < edit_distance(unknown, b); };
        return *std::min_element(same_leaf.begin(), same_leaf.end(), closer);
    }
    for (const auto& [foreign, key] : kForeignNames) {
        if (edit_distance(foreign, leaf) == 0) return std::string(key);
    }
    if (!near.empty()) return near;
    const auto at = std::find(leaves.begin(), leaves.end(), nearest(leaf, leaves));
    return at == leaves.end() ? std::string() : keys[static_cast<std::size_t>(at - leaves.begin())];
}

std::string suggest_key(std::string_view unknown) {
    const auto key = nearest_key(unknown);
    return key.empty() ? key : fmt::format("; did you mean '{}'?", key);
}

std::string help_entry(const std::string& name, std::string_view text) {
    static constexpr std::size_t kColumn = 32, kWidth = 110;
    return fmt::format("  {:<{}}{}\n", name, kColumn - 2, wrapped(text, kWidth - kColumn, kColumn));
}

std::string configuration_help() {
    std::string out;
    std::string_view section;
    for (const auto& option : option_table()) {
        if (option.section() != section) out += section_line(section = option.section());
        out += help_entry(option.key, fmt::format("{} ({}) [{}]", option.help, option.values, option.default_text));
    }
    return out;
}

std::string configuration_markdown() {
    std::string out =
        "# Configuration\n\n"
        "<!-- Written by `tandem train --help-markdown` from the option table in src/config/; a test compares. -->\n\n"
        "A run is described by an INI file: `[section]`, then `key = value`. `#` starts a comment at the start of a line or after a\n"
        "space. Every key can be overridden on the command line: `--section.key value` or `--section.key=value`; names are not\n"
        "abbreviated. Unknown keys, repeated keys and values that make no sense are errors with file and line, before anything is\n"
        "loaded. Paths are relative to the working directory. Lists are separated by commas. Bytes take a unit (`24GiB`, `80GB`).\n\n"
        "    tandem train configs/quickstart.ini --training.max_steps 50 --lora.r=8\n\n"
        "Values that are named here and that this version does not build yet are refused by name, with what works instead. Keys that\n"
        "the rest of the configuration makes idle are accepted.\n";
    std::string_view section;
    for (const auto& option : option_table()) {
        if (option.section() != section) {
            section = option.section();
            out += fmt::format("\n## [{}]\n\n| key | default | values | meaning |\n|---|---|---|---|\n", section);
        }
        out += fmt::format("| `{}` | `{}` | {} | {} |\n", option.key, option.default_text, option.values, option.help);
    }
    return out;
}

}  // namespace tandem
