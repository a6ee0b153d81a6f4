#include "src/io/json.h"

#include <algorithm>

#include "src/io/files.h"

namespace tandem {

namespace {

/// Line and column, both from 1, of the byte before which the parser stopped.
std::pair<std::size_t, std::size_t> place(std::string_view text, std::size_t byte, std::size_t first_line) {
    const auto before = text.substr(0, std::min(byte > 0 ? byte - 1 : 0, text.size()));
    const auto newline = before.rfind('\n');
    const auto column = before.size() - (newline == std::string_view::npos ? 0 : newline + 1) + 1;
    return {first_line + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n')), column};
}

/// What nlohmann says after "... column N: ": the part that is about the text.
std::string cause_of(const std::string& what) {
    const auto marker = what.find("syntax error");
    return marker == std::string::npos ? what.substr(std::min(what.find("] ") + 2, what.size())) : what.substr(marker);
}

std::string excerpt(const Json& value) {
    auto text = dump_json(value);
    if (text.size() > 60) text = std::string(value.type_name()) + " of " + std::to_string(text.size()) + " bytes";
    return text;
}

}  // namespace

Json parse_json(std::string_view text, const std::string& source, std::size_t first_line) {
    try {
        return Json::parse(text);
    } catch (const Json::parse_error& e) {
        const auto [line, column] = place(text, e.byte, first_line);
        fail(Failure::Input, "{}:{}:{}: not valid JSON: {}", source, line, column, cause_of(e.what()));
    } catch (const Json::exception& e) {  // a number such as 1e999
        fail(Failure::Input, "{}: not valid JSON: {}", source, cause_of(e.what()));
    }
}

Json read_json_file(const std::filesystem::path& file) { return parse_json(read_file(file), file.string()); }

std::string dump_json(const Json& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

void write_json_file(const std::filesystem::path& file, const Json& json) { write_file_atomically(file, dump_json(json, 2) + "\n"); }

namespace json_detail {

void wrong_type(const Json& found, std::string_view key, const std::string& file, std::string_view wanted) {
    fail(Failure::Input, "{}: \"{}\" is {}, but {} is needed", file, key, excerpt(found), wanted);
}

void missing(std::string_view key, const std::string& file, std::string_view wanted) {
    fail(Failure::Input, "{}: the key \"{}\" is missing; it is {}", file, key, wanted);
}

void require_object(const Json& object, std::string_view key, const std::string& file) {
    if (!object.is_object()) fail(Failure::Input, "{}: an object with the key \"{}\" is needed, not {}", file, key, excerpt(object));
}

}  // namespace json_detail

}  // namespace tandem
