#include "src/config/ini.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "kernels/base/error.h"
#include "src/config/option_table.h"
#include "src/config/suggest.h"
#include "src/config/value.h"

namespace tandem {
namespace {

/// `#` starts a comment at the start of a line or after white space, so that paths may contain one.
std::string_view without_comment(std::string_view line) {
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) return line.substr(0, i);
    }
    return line;
}

std::string parse_section(std::string_view line, const KeySet& keys, const std::string& path, std::size_t number) {
    if (line.back() != ']') fail(Failure::Configuration, "{}:{}: found '{}', expected [section]", path, number, line);
    const std::string section(trimmed(line.substr(1, line.size() - 2)));
    for (const auto& known : keys.sections) {
        if (known == section) return section;
    }
    fail(Failure::Configuration, "{}:{}: unknown section [{}]{}", path, number, section, did_you_mean(section, keys.sections));
}

Setting parse_setting(std::string_view line, const KeySet& keys, const std::string& section, const std::string& path, std::size_t number) {
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || trimmed(line.substr(0, equals)).empty()) {
        fail(Failure::Configuration, "{}:{}: found '{}', expected key = value, [section] or # comment", path, number, line);
    }
    const auto leaf = trimmed(line.substr(0, equals));
    Setting setting{section.empty() ? std::string(leaf) : fmt::format("{}.{}", section, leaf),
                    std::string(trimmed(line.substr(equals + 1))), number};
    if (!keys.knows(setting.key)) {
        fail(Failure::Configuration, "{}:{}: unknown key '{}'{}", path, number, setting.key, keys.suggest_for(setting.key));
    }
    return setting;
}

}  // namespace

const KeySet& run_keys() {
    static const KeySet keys{option_sections(), [](std::string_view key) { return find_option(key) != nullptr; }, suggest_key};
    return keys;
}

std::vector<Setting> parse_ini(std::string_view text, const std::string& path, const KeySet& keys) {
    static constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    std::vector<Setting> settings;
    std::map<std::string, std::size_t> line_of;
    std::string section;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto end = std::min(text.find('\n'), text.size());
        const auto line = trimmed(without_comment(text.substr(0, end)));
        text.remove_prefix(std::min(text.size(), end + 1));
        if (line.empty()) continue;
        if (line.front() == '[') {
            section = parse_section(line, keys, path, number);
            continue;
        }
        auto setting = parse_setting(line, keys, section, path, number);
        if (const auto [first, fresh] = line_of.emplace(setting.key, number); !fresh) {
            fail(Failure::Configuration, "{}:{}: {} is already set at {}:{}; keep one of the two lines", path, number, setting.key, path,
                 first->second);
        }
        settings.push_back(std::move(setting));
    }
    return settings;
}

std::string read_text(const std::string& path) {
    static constexpr std::size_t kMost = std::size_t{1} << 20U;  // a configuration is far smaller; a model file is not read to its end
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) {
        fail(Failure::Configuration, "{}: is a directory, expected a configuration file", path);
    }
    std::ifstream file(path, std::ios::binary);
    if (!file) fail(Failure::Configuration, "{}: cannot open the configuration file: {}", path, std::strerror(errno));
    std::string text(kMost + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (file.bad()) fail(Failure::Configuration, "{}: cannot read the configuration file: {}", path, std::strerror(errno));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.size() > kMost || text.find('\0') != std::string::npos) {
        fail(Failure::Configuration, "{}: is not a configuration file (binary, or larger than 1 MiB)", path);
    }
    return text;
}

}  // namespace tandem
