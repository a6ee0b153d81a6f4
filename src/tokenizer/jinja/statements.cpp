#include <algorithm>

#include "kernels/base/error.h"
#include "src/tokenizer/jinja/ast.h"
#include "src/tokenizer/jinja/builtins.h"

namespace tandem::jinja {

Flow execute(const Block& block, Runtime& runtime) {
    for (const auto& statement : block) {
        runtime.line = statement->line;
        runtime.count_step();
        if (const Flow flow = statement->execute(runtime); flow != Flow::Next) return flow;
    }
    return Flow::Next;
}

std::string render(const Block& block, Runtime& runtime) {
    const ScopeGuard scope(runtime);
    Capture capture(runtime);
    execute(block, runtime);
    return capture.take();
}

void Target::assign(Runtime& runtime, const Value& value) const {
    if (parts.empty() && attribute.empty()) return runtime.set(name, value);
    if (parts.empty()) {
        const Value owner = runtime.lookup(name);
        auto space = owner.is_object() ? std::dynamic_pointer_cast<Namespace>(owner.object()) : nullptr;
        if (!space) runtime.refuse(fmt::format("{}.{} is assigned to, but {} is no namespace", name, attribute, name));
        if (attribute.starts_with('_')) runtime.refuse(fmt::format("{}: names of a namespace may not begin with an underscore", attribute));
        return space->set(attribute, value);
    }
    const List items = items_of(runtime, value);
    if (items.size() != parts.size()) runtime.refuse(fmt::format("{} names are assigned {} values", parts.size(), items.size()));
    for (std::size_t i = 0; i < parts.size(); ++i) parts[i].assign(runtime, items[i]);
}

Flow Text::execute(Runtime& runtime) const {
    runtime.out += text;
    return Flow::Next;
}

Flow Output::execute(Runtime& runtime) const {
    const std::string text = value->evaluate(runtime).text();
    runtime.out += text;
    return Flow::Next;
}

Flow If::execute(Runtime& runtime) const {
    const DepthGuard guard(runtime);
    for (const auto& [test, body] : branches) {
        if (test->evaluate(runtime).truth()) return jinja::execute(body, runtime);
    }
    return jinja::execute(otherwise, runtime);
}

namespace {

/// `loop` inside a for.
class Loop final : public Object {
public:
    Loop(List items, const For* statement, std::size_t level) : items_(std::move(items)), statement_(statement), level_(level) {}

    [[nodiscard]] std::string_view kind() const override { return "loop"; }
    [[nodiscard]] bool callable() const override { return statement_->recursive; }

    [[nodiscard]] std::optional<Value> attribute(std::string_view name) const override {
        const std::size_t size = items_.size();
        if (name == "index") return at_ + 1;
        if (name == "index0") return at_;
        if (name == "revindex") return size - at_;
        if (name == "revindex0") return size - at_ - 1;
        if (name == "first") return at_ == 0;
        if (name == "last") return at_ + 1 == size;
        if (name == "length") return size;
        if (name == "depth") return level_ + 1;
        if (name == "depth0") return level_;
        if (name == "previtem") return at_ > 0 ? items_[at_ - 1] : Value(Undefined{"there is no previous item"});
        if (name == "nextitem") return at_ + 1 < size ? items_[at_ + 1] : Value(Undefined{"there is no next item"});
        if (name == "cycle") {
            return Value(std::make_shared<Function>("cycle", [at = at_](Runtime& runtime, Arguments given) {
                if (given.positional.empty()) runtime.refuse("loop.cycle() needs values");
                return given.positional[at % given.positional.size()];
            }));
        }
        if (name == "changed") {
            return Value(std::make_shared<Function>("changed", [seen = seen_](Runtime&, Arguments given) {
                Value now = Value::tuple(std::move(given.positional));
                const bool changed = !*seen || !equal(**seen, now);
                *seen = std::move(now);
                return Value(changed);
            }));
        }
        return std::nullopt;
    }

    /// loop(items) of a recursive for: the text of the same loop over other items.
    Value call(Runtime& runtime, Arguments arguments) const override {
        if (arguments.positional.size() != 1) runtime.refuse("loop() needs one argument");
        Capture capture(runtime);
        statement_->run(runtime, arguments.positional[0], level_ + 1);
        return capture.take();
    }

    [[nodiscard]] const List& items() const { return items_; }
    void move_to(std::size_t at) { at_ = at; }

private:
    List items_;
    const For* statement_;
    std::size_t level_, at_ = 0;
    std::shared_ptr<std::optional<Value>> seen_ = std::make_shared<std::optional<Value>>();
};

}  // namespace

Flow For::execute(Runtime& runtime) const {
    run(runtime, items->evaluate(runtime), 0);
    return Flow::Next;
}

void For::run(Runtime& runtime, const Value& over, std::size_t level) const {
    const DepthGuard guard(runtime);
    List chosen = items_of(runtime, over);
    if (condition) {
        std::erase_if(chosen, [&](const Value& item) {
            const ScopeGuard scope(runtime);
            target.assign(runtime, item);
            return !condition->evaluate(runtime).truth();
        });
    }
    if (chosen.empty()) {
        const ScopeGuard scope(runtime);
        jinja::execute(otherwise, runtime);
        return;
    }
    const auto loop = std::make_shared<Loop>(std::move(chosen), this, level);
    for (std::size_t i = 0; i < loop->items().size(); ++i) {
        runtime.count_step();
        const ScopeGuard scope(runtime);
        loop->move_to(i);
        runtime.set("loop", Value(std::static_pointer_cast<Object>(loop)));
        target.assign(runtime, loop->items()[i]);
        if (jinja::execute(body, runtime) == Flow::Break) break;
    }
}

Flow Set::execute(Runtime& runtime) const {
    target.assign(runtime, value->evaluate(runtime));
    return Flow::Next;
}

namespace {

std::string filtered(Runtime& runtime, const std::vector<std::unique_ptr<Filter>>& filters, const Block& body) {
    Value value = render(body, runtime);
    for (const auto& filter : filters) value = filter->apply(runtime, value);
    return value.text();
}

/// A macro, or the body of a call block as `caller`.
class MacroObject final : public Object {
public:
    MacroObject(std::string name, const Signature& signature, const Block& body, std::shared_ptr<Scope> owned, std::weak_ptr<Scope> outer)
        : name_(std::move(name)), signature_(signature), body_(body), owned_(std::move(owned)), outer_(std::move(outer)) {}

    [[nodiscard]] std::string_view kind() const override { return "macro"; }
    [[nodiscard]] bool callable() const override { return true; }
    [[nodiscard]] std::optional<Value> attribute(std::string_view attribute) const override {
        return attribute == "name" ? std::optional<Value>(name_) : std::nullopt;
    }

    Value call(Runtime& runtime, Arguments given) const override {
        std::shared_ptr<Scope> outer = outer_.lock();
        if (!outer) runtime.refuse(fmt::format("the macro {} is used outside of the block that it is defined in", name_));
        const ScopeGuard scope(runtime, std::move(outer));
        bind(runtime, given);
        Capture capture(runtime);
        execute(body_, runtime);
        return capture.take();
    }

private:
    void bind(Runtime& runtime, Arguments& given) const {
        const auto& parameters = signature_.parameters;
        const auto take_named = [&](const std::string& name) -> std::optional<Value> {
            const auto found = std::find_if(given.named.begin(), given.named.end(), [&](const auto& n) { return n.first == name; });
            if (found == given.named.end()) return std::nullopt;
            Value value = std::move(found->second);
            given.named.erase(found);
            return value;
        };
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            const auto& [name, fallback] = parameters[i];
            auto named = take_named(name);
            if (named && i < given.positional.size()) runtime.refuse(fmt::format("the macro {} got its argument {} twice", name_, name));
            if (i < given.positional.size()) runtime.set(name, given.positional[i]);
            else if (named) runtime.set(name, *named);
            else if (fallback) runtime.set(name, fallback->evaluate(runtime));
            else runtime.set(name, Undefined{fmt::format("parameter '{}' was not provided", name)});
        }
        runtime.set("caller", take_named("caller").value_or(Undefined{"no caller is defined"}));
        List rest;
        for (std::size_t i = parameters.size(); i < given.positional.size(); ++i) rest.push_back(given.positional[i]);
        runtime.set("varargs", Value::tuple(std::move(rest)));
        Dict more;
        for (auto& [name, value] : given.named) more.set(name, std::move(value));
        runtime.set("kwargs", more);
    }

    std::string name_;
    const Signature& signature_;
    const Block& body_;
    std::shared_ptr<Scope> owned_;  // a caller keeps its scope; a macro, which lies in its own scope, does not
    std::weak_ptr<Scope> outer_;
};

}  // namespace

Flow SetBlock::execute(Runtime& runtime) const {
    target.assign(runtime, filtered(runtime, filters, body));
    return Flow::Next;
}

Flow Macro::execute(Runtime& runtime) const {
    runtime.set(name, Value(std::shared_ptr<Object>(std::make_shared<MacroObject>(name, signature, body, nullptr, runtime.scope))));
    return Flow::Next;
}

Flow CallBlock::execute(Runtime& runtime) const {
    const Value callee = call->callee->evaluate(runtime);
    Arguments given = call->arguments.evaluate(runtime);
    given.named.emplace_back(
        "caller", Value(std::shared_ptr<Object>(std::make_shared<MacroObject>("caller", signature, body, runtime.scope, runtime.scope))));
    runtime.out += runtime.call(callee, std::move(given)).text();
    return Flow::Next;
}

Flow FilterBlock::execute(Runtime& runtime) const {
    runtime.out += filtered(runtime, filters, body);
    return Flow::Next;
}

Flow With::execute(Runtime& runtime) const {
    std::vector<Value> values;
    for (const auto& [name, value] : bindings) values.push_back(value->evaluate(runtime));
    const ScopeGuard scope(runtime);
    for (std::size_t i = 0; i < bindings.size(); ++i) bindings[i].first.assign(runtime, values[i]);
    return jinja::execute(body, runtime);
}

Flow Generation::execute(Runtime& runtime) const {
    if (runtime.captures > 0) runtime.refuse("a generation block inside a macro or a set block cannot be located in the text");
    const ScopeGuard scope(runtime);
    const std::size_t begin = runtime.out.size();
    const Flow flow = jinja::execute(body, runtime);
    runtime.generated.emplace_back(begin, runtime.out.size());
    return flow;
}

}  // namespace tandem::jinja
