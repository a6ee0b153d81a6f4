// Methods of str, dict, list and tuple. What would change its owner is refused, as the sandbox of transformers does.
#include <algorithm>

#include "kernels/base/error.h"
#include "src/tokenizer/jinja/builtins.h"
#include "src/tokenizer/jinja/python_text.h"
#include "src/tokenizer/unicode.h"

namespace tandem::jinja {

namespace {

using Method = Value (*)(Runtime&, const Value&, const Arguments&);
using Methods = std::unordered_map<std::string_view, Method>;

List as_values(std::vector<std::string> texts) {
    List out;
    for (auto& text : texts) out.emplace_back(std::move(text));
    return out;
}

template <python::Side Which>
Value strip(Runtime& runtime, const Value& self, const Arguments& arguments) {
    return python::strip(self.string(), Which, Parameters(runtime, "strip", arguments, {"chars"}).text(0));
}

template <bool FromRight>
Value split(Runtime& runtime, const Value& self, const Arguments& arguments) {
    const Parameters given(runtime, "split", arguments, {"sep", "maxsplit"});
    const auto separator = given.text(0);
    if (separator && separator->empty()) runtime.refuse("split() needs a separator that is not empty");
    const auto function = FromRight ? python::split_from_right : python::split;
    return as_values(function(self.string(), separator, given.integer(1, -1)));
}

template <std::string (*Change)(std::string_view)>
Value change(Runtime& runtime, const Value& self, const Arguments& arguments) {
    (void)Parameters(runtime, "the method", arguments, {});
    return Change(self.string());
}

/// startswith and endswith take one text or a tuple of them.
template <bool AtEnd>
Value affix(Runtime& runtime, const Value& self, const Arguments& arguments) {
    const Parameters given(runtime, AtEnd ? "endswith" : "startswith", arguments, {"=affix"});
    const auto matches = [&](const Value& text) {
        if (!text.is_string()) runtime.refuse(fmt::format("startswith() and endswith() need a str, not {}", text.type_name()));
        return AtEnd ? self.string().ends_with(text.string()) : self.string().starts_with(text.string());
    };
    if (given[0].is_tuple()) return std::any_of(given[0].list().begin(), given[0].list().end(), matches);
    return matches(given[0]);
}

template <bool AtEnd>
Value without_affix(Runtime& runtime, const Value& self, const Arguments& arguments) {
    const std::string affix = Parameters(runtime, AtEnd ? "removesuffix" : "removeprefix", arguments, {"=affix"}).string(0, "");
    std::string_view text = self.string();
    if (AtEnd && text.ends_with(affix)) text.remove_suffix(affix.size());
    if (!AtEnd && text.starts_with(affix)) text.remove_prefix(affix.size());
    return text;
}

Value replace(Runtime& runtime, const Value& self, const Arguments& arguments) {
    const Parameters given(runtime, "replace", arguments, {"=old", "=new", "count"});
    return python::replace(self.string(), given.string(0, ""), given.string(1, ""), given.integer(2, -1));
}

Value join(Runtime& runtime, const Value& self, const Arguments& arguments) {
    const Parameters given(runtime, "join", arguments, {"=iterable"});
    std::string out;
    bool begun = false;
    for (const Value& item : items_of(runtime, given[0])) {
        if (!item.is_string()) runtime.refuse(fmt::format("join() needs items of type str, not {}", item.type_name()));
        if (std::exchange(begun, true)) out += self.string();
        out += item.string();
    }
    return out;
}

template <bool FromRight, bool MustExist>
Value find(Runtime& runtime, const Value& self, const Arguments& arguments) {
    const std::string wanted = Parameters(runtime, "find", arguments, {"=sub"}).string(0, "");
    const std::size_t at = FromRight ? self.string().rfind(wanted) : self.string().find(wanted);
    if (at != std::string::npos) return unicode::count_characters(std::string_view(self.string()).substr(0, at));
    if (MustExist) runtime.refuse("index(): the text is not in the str");
    return -1;
}

Value count(Runtime& runtime, const Value& self, const Arguments& arguments) {
    const std::string wanted = Parameters(runtime, "count", arguments, {"=sub"}).string(0, "");
    if (wanted.empty()) return unicode::count_characters(self.string()) + 1;
    std::int64_t found = 0;
    for (std::size_t at = 0; (at = self.string().find(wanted, at)) != std::string::npos; at += wanted.size()) ++found;
    return found;
}

Value split_lines(Runtime& runtime, const Value& self, const Arguments& arguments) {
    return as_values(python::split_lines(self.string(), Parameters(runtime, "splitlines", arguments, {"keepends"}).truth(0, false)));
}

template <bool FromRight>
Value partition(Runtime& runtime, const Value& self, const Arguments& arguments) {
    const std::string separator = Parameters(runtime, "partition", arguments, {"=sep"}).string(0, "");
    const std::string& text = self.string();
    const std::size_t at = FromRight ? text.rfind(separator) : text.find(separator);
    if (separator.empty()) runtime.refuse("partition() needs a separator that is not empty");
    if (at == std::string::npos) return FromRight ? Value::tuple({"", "", text}) : Value::tuple({text, "", ""});
    return Value::tuple({text.substr(0, at), separator, text.substr(at + separator.size())});
}

template <bool (*Holds)(char32_t)>
Value all_characters(Runtime&, const Value& self, const Arguments&) {
    bool all = !self.string().empty();
    unicode::for_each(self.string(), [&](char32_t c, std::size_t, std::size_t) { all = all && Holds(c); });
    return all;
}
bool is_alphanumeric(char32_t c) { return python::is_alpha(c) || unicode::is_numeric(c); }

template <bool Upper>
Value has_case(Runtime&, const Value& self, const Arguments&) {
    const std::string &text = self.string(), upper = python::upper(text), lower = python::lower(text);
    return Upper ? text == upper && text != lower : text == lower && text != upper;
}

/// str.format: {}, {0} and {name} without format specifications.
Value format(Runtime& runtime, const Value& self, const Arguments& arguments) {
    const std::string& text = self.string();
    std::string out;
    std::size_t next = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if ((text[i] == '{' || text[i] == '}') && i + 1 < text.size() && text[i + 1] == text[i]) {
            out += text[i++];
            continue;
        }
        if (text[i] != '{') {
            out += text[i];
            continue;
        }
        const std::size_t end = text.find('}', i);
        if (end == std::string::npos) runtime.refuse("format(): a { without its }");
        const std::string field = text.substr(i + 1, end - i - 1);
        i = end;
        const auto named = std::find_if(arguments.named.begin(), arguments.named.end(), [&](const auto& n) { return n.first == field; });
        if (named != arguments.named.end()) {
            out += named->second.text();
            continue;
        }
        if (field.find_first_not_of("0123456789") != std::string::npos || field.size() > 6) {
            runtime.refuse(fmt::format("format(): the field {{{}}} is not supported", field));
        }
        const std::size_t at = field.empty() ? next++ : static_cast<std::size_t>(std::stoul(field));
        if (at >= arguments.positional.size()) runtime.refuse(fmt::format("format(): there is no argument {}", at));
        out += arguments.positional[at].text();
    }
    return out;
}

const Methods& string_methods() {
    static const Methods table = {
        {"strip", strip<python::Side::Both>},
        {"lstrip", strip<python::Side::Left>},
        {"rstrip", strip<python::Side::Right>},
        {"split", split<false>},
        {"rsplit", split<true>},
        {"splitlines", split_lines},
        {"partition", partition<false>},
        {"rpartition", partition<true>},
        {"lower", change<python::lower>},
        {"casefold", change<python::lower>},
        {"upper", change<python::upper>},
        {"capitalize", change<python::capitalize>},
        {"title", change<python::title>},
        {"startswith", affix<false>},
        {"endswith", affix<true>},
        {"removeprefix", without_affix<false>},
        {"removesuffix", without_affix<true>},
        {"replace", replace},
        {"join", join},
        {"find", find<false, false>},
        {"rfind", find<true, false>},
        {"index", find<false, true>},
        {"rindex", find<true, true>},
        {"count", count},
        {"format", format},
        {"isdigit", all_characters<python::is_digit>},
        {"isdecimal", all_characters<python::is_digit>},
        {"isnumeric", all_characters<unicode::is_numeric>},
        {"isalpha", all_characters<python::is_alpha>},
        {"isalnum", all_characters<is_alphanumeric>},
        {"isspace", all_characters<python::is_space>},
        {"isupper", has_case<true>},
        {"islower", has_case<false>},
    };
    return table;
}

Value dict_get(Runtime& runtime, const Value& self, const Arguments& arguments) {
    const Parameters given(runtime, "get", arguments, {"=key", "default"});
    const Value* found = self.dict().find(given[0]);
    return found != nullptr ? *found : given.has(1) ? given[1] : Value(None{});
}
template <bool Keys, bool Values>
Value dict_parts(Runtime&, const Value& self, const Arguments&) {
    List out;
    for (const auto& [key, value] : self.dict().items()) out.push_back(Keys && Values ? Value::tuple({key, value}) : Keys ? key : value);
    return out;
}
Value copy(Runtime&, const Value& self, const Arguments&) { return self; }

const Methods& dict_methods() {
    static const Methods table = {{"get", dict_get},
                                  {"items", dict_parts<true, true>},
                                  {"keys", dict_parts<true, false>},
                                  {"values", dict_parts<false, true>},
                                  {"copy", copy}};
    return table;
}

Value list_index(Runtime& runtime, const Value& self, const Arguments& arguments) {
    const Parameters given(runtime, "index", arguments, {"=value"});
    const auto found = std::find_if(self.list().begin(), self.list().end(), [&](const Value& item) { return equal(item, given[0]); });
    if (found == self.list().end()) runtime.refuse("index(): the value is not in the list");
    return static_cast<std::int64_t>(found - self.list().begin());
}
Value list_count(Runtime& runtime, const Value& self, const Arguments& arguments) {
    const Parameters given(runtime, "count", arguments, {"=value"});
    return static_cast<std::int64_t>(
        std::count_if(self.list().begin(), self.list().end(), [&](const Value& item) { return equal(item, given[0]); }));
}

const Methods& list_methods() {
    static const Methods table = {{"index", list_index}, {"count", list_count}, {"copy", copy}};
    return table;
}

bool changes_owner(const Value& value, std::string_view name) {
    static constexpr std::string_view kList[] = {"append", "extend", "insert", "remove", "sort", "reverse", "clear", "pop"};
    static constexpr std::string_view kDict[] = {"update", "setdefault", "clear", "pop", "popitem"};
    if (value.is_list()) return std::find(std::begin(kList), std::end(kList), name) != std::end(kList);
    return value.is_dict() && std::find(std::begin(kDict), std::end(kDict), name) != std::end(kDict);
}

}  // namespace

std::optional<Value> method_of(Runtime&, const Value& value, std::string_view name) {
    if (changes_owner(value, name)) {
        return Value(Undefined{fmt::format("{}.{}() would change the {}, which a template may not do (build a new one)", value.type_name(),
                                           name, value.type_name())});
    }
    const Methods* methods = value.is_string()                     ? &string_methods()
                             : value.is_dict()                     ? &dict_methods()
                             : value.is_list() || value.is_tuple() ? &list_methods()
                                                                   : nullptr;
    if (methods == nullptr) return std::nullopt;
    const auto found = methods->find(name);
    if (found == methods->end()) return std::nullopt;
    return Value(std::shared_ptr<Object>(std::make_shared<Function>(
        std::string(name),
        [self = value, method = found->second](Runtime& runtime, Arguments arguments) { return method(runtime, self, arguments); })));
}

}  // namespace tandem::jinja
