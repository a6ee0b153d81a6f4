// The state of one rendering: where the text goes, what names mean, which line is at work.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "src/tokenizer/jinja/value.h"

namespace tandem::jinja {

/// Names of one block; what is not here is looked for outside.
struct Scope {
    std::unordered_map<std::string, Value> names;
    std::shared_ptr<Scope> outer;
};

class Runtime {
public:
    Runtime(const std::string& origin, std::unordered_map<std::string, Value> globals);
    ~Runtime();
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    /// Throws Input naming template and line.
    [[noreturn]] void refuse(std::string_view what) const;

    [[nodiscard]] Value lookup(const std::string& name) const;
    void set(const std::string& name, Value value) { scope->names[name] = std::move(value); }

    /// Counts one statement or one turn of a loop; refuses a template that does not come to an end.
    void count_step() {
        if (++steps_ > kMostSteps) refuse("the template runs without end");
    }

    /// Calls what `callee` is; refuses what cannot be called. `name` is for the message.
    Value call(const Value& callee, Arguments arguments, std::string_view name = "");

    /// The object is cleared when the rendering ends.
    void own(std::weak_ptr<Object> object) { owned_.push_back(std::move(object)); }

    std::shared_ptr<Scope> scope;
    std::string out;
    int line = 0;
    int depth = 0;                                               ///< of nested evaluations
    int captures = 0;                                            ///< of macros and set blocks whose text does not go straight to the result
    std::vector<std::pair<std::size_t, std::size_t>> generated;  ///< bytes of `out` inside {% generation %}

private:
    /// A long conversation takes some hundred thousand steps; this many take seconds.
    static constexpr std::int64_t kMostSteps = 4'000'000;
    std::int64_t steps_ = 0;
    const std::string& origin_;
    std::unordered_map<std::string, Value> globals_;
    std::vector<std::weak_ptr<Object>> owned_;
};

/// A scope inside the present one (or inside `outer`), until the end of the block.
class ScopeGuard {
public:
    explicit ScopeGuard(Runtime& runtime) : ScopeGuard(runtime, runtime.scope) {}
    ScopeGuard(Runtime& runtime, std::shared_ptr<Scope> outer) : runtime_(runtime), before_(runtime.scope) {
        runtime.scope = std::make_shared<Scope>();
        runtime.scope->outer = std::move(outer);
    }
    ~ScopeGuard() { runtime_.scope = std::move(before_); }
    ScopeGuard(const ScopeGuard&) = delete;
    ScopeGuard& operator=(const ScopeGuard&) = delete;

private:
    Runtime& runtime_;
    std::shared_ptr<Scope> before_;
};

/// Collects the text that is written until take().
class Capture {
public:
    explicit Capture(Runtime& runtime) : runtime_(runtime), before_(std::move(runtime.out)) {
        runtime.out.clear();
        ++runtime.captures;
    }
    ~Capture() {
        if (!taken_) (void)take();
    }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    [[nodiscard]] std::string take() {
        taken_ = true;
        --runtime_.captures;
        return std::exchange(runtime_.out, std::move(before_));
    }

private:
    Runtime& runtime_;
    std::string before_;
    bool taken_ = false;
};

/// Refuses templates that nest or recurse so deeply that the stack would end.
class DepthGuard {
public:
    explicit DepthGuard(Runtime& runtime) : runtime_(runtime) {
        if (++runtime.depth > 400) runtime.refuse("the template nests or recurses too deeply");
    }
    ~DepthGuard() { --runtime_.depth; }
    DepthGuard(const DepthGuard&) = delete;
    DepthGuard& operator=(const DepthGuard&) = delete;

private:
    Runtime& runtime_;
};

/// The arguments of a call by position or name. A name with "=" in front of it must be given.
class Parameters {
public:
    Parameters(Runtime& runtime, std::string_view function, const Arguments& arguments, std::initializer_list<std::string_view> names);
    [[nodiscard]] bool has(std::size_t i) const { return values_[i].has_value(); }
    [[nodiscard]] const Value& operator[](std::size_t i) const { return *values_[i]; }
    [[nodiscard]] std::string string(std::size_t i, std::string_view fallback) const;
    [[nodiscard]] std::optional<std::string> text(std::size_t i) const;  ///< nothing if absent or None
    [[nodiscard]] std::int64_t integer(std::size_t i, std::int64_t fallback) const;
    [[nodiscard]] bool truth(std::size_t i, bool fallback) const { return has(i) ? values_[i]->truth() : fallback; }

private:
    Runtime& runtime_;
    std::string_view function_;
    std::vector<std::optional<Value>> values_;
};

}  // namespace tandem::jinja
