// A parsed template, ready to be rendered: the subset of Jinja2 that chat templates are written in, in the environment that
// transformers renders them in.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace tandem::jinja {

/// Immutable; rendering is const and thread-safe.
class Template {
public:
    /// `origin` is what messages call it. Throws Input naming origin and line.
    Template(const std::string& source, std::string origin);
    ~Template();
    Template(Template&&) noexcept;
    Template& operator=(Template&&) noexcept;

    struct Result {
        std::string text;
        std::vector<std::pair<std::size_t, std::size_t>> generated;  ///< bytes inside {% generation %}
    };
    /// `variables`: an object; its members are the template's variables.
    [[nodiscard]] Result render(const nlohmann::ordered_json& variables) const;

    [[nodiscard]] const std::string& origin() const;
    /// Does the template use {% generation %}?
    [[nodiscard]] bool marks_generation() const;

private:
    struct State;
    std::unique_ptr<const State> state_;
};

}  // namespace tandem::jinja
