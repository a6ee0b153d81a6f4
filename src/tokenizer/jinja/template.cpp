#include "src/tokenizer/jinja/template.h"

#include <nlohmann/json.hpp>

#include "src/tokenizer/jinja/ast.h"
#include "src/tokenizer/jinja/builtins.h"
#include "src/tokenizer/jinja/parser.h"

namespace tandem::jinja {

struct Template::State {
    std::string origin;
    Parsed parsed;
};

Template::Template(const std::string& source, std::string origin) {
    auto parsed = parse(source, origin);
    state_ = std::make_unique<const State>(State{std::move(origin), std::move(parsed)});
}
Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

Template::Result Template::render(const nlohmann::ordered_json& variables) const {
    auto globals = global_functions();
    for (const auto& [name, value] : variables.items()) globals[name] = Value::from_json(value);
    Runtime runtime(state_->origin, std::move(globals));
    execute(state_->parsed.block, runtime);
    return {std::move(runtime.out), std::move(runtime.generated)};
}

const std::string& Template::origin() const { return state_->origin; }
bool Template::marks_generation() const { return state_->parsed.marks_generation; }

}  // namespace tandem::jinja
