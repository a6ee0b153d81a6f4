// Threads of control that take turns within one thread of the system: C's contexts to begin with, jumps to switch.
#pragma once

#include <csetjmp>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace tandem::emulator {

/// Fibers on stacks of their own, reused from one piece of work to the next. One that is not resumed again is simply left: what it has
/// on its stack is not destroyed.
class Fibers {
public:
    static constexpr std::size_t kStack = std::size_t{128} << 10U;

    Fibers();
    ~Fibers();
    Fibers(const Fibers&) = delete;
    Fibers& operator=(const Fibers&) = delete;

    /// Fibers 0 to count - 1 will run work(number) from its start.
    void start(int count, std::function<void(int)> work);
    /// Runs fiber `number` until it pauses or ends.
    void resume(int number);
    /// By the running fiber: back to resume()'s caller.
    void pause();
    /// By the running fiber: never again.
    [[noreturn]] void leave();
    [[nodiscard]] bool ended(int number) const { return fibers_[static_cast<std::size_t>(number)]->ended; }
    /// Where fiber `number`'s kStack bytes begin.
    [[nodiscard]] const std::byte* stack(int number) const { return fibers_[static_cast<std::size_t>(number)]->stack; }
    [[nodiscard]] bool on_any_stack(const void* address) const;

private:
    struct Fiber {
        std::jmp_buf at;
        bool begun = false;
        bool ended = true;
        std::byte* stack = nullptr;
    };
    static void enter();
    void begin(Fiber& fiber);
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::function<void(int)> work_;
    std::jmp_buf caller_;
    int running_ = -1;
};

}  // namespace tandem::emulator
