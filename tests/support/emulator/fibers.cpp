#include "tests/support/emulator/fibers.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <new>

namespace tandem::emulator {

namespace {

constexpr std::size_t kGuard = std::size_t{64} << 10U;  ///< closed memory below a stack: one that is full shows at once
Fibers* entering = nullptr;                             ///< whose fiber begins: makecontext passes no pointers

}  // namespace

Fibers::Fibers() = default;

Fibers::~Fibers() {
    for (const auto& fiber : fibers_) munmap(fiber->stack - kGuard, kGuard + kStack);
}

void Fibers::start(int count, std::function<void(int)> work) {
    work_ = std::move(work);
    while (static_cast<int>(fibers_.size()) < count) {
        auto fiber = std::make_unique<Fiber>();
        void* base = mmap(nullptr, kGuard + kStack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED) throw std::bad_alloc();
        fiber->stack = static_cast<std::byte*>(base) + kGuard;
        if (mprotect(fiber->stack, kStack, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
        fibers_.push_back(std::move(fiber));
    }
    for (int i = 0; i < count; ++i) {
        Fiber& fiber = *fibers_[static_cast<std::size_t>(i)];
        if (!fiber.ended) fiber.begun = false;  // left in the middle of earlier work
        fiber.ended = false;
    }
}

void Fibers::enter() {
    Fibers& own = *entering;
    const int number = own.running_;
    Fiber& fiber = *own.fibers_[static_cast<std::size_t>(number)];
    for (;;) {
        own.work_(number);
        fiber.ended = true;
        own.pause();
    }
}

void Fibers::begin(Fiber& fiber) {
    fiber.begun = true;
    entering = this;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = fiber.stack;
    context.uc_stack.ss_size = kStack;
    context.uc_link = nullptr;
    makecontext(&context, enter, 0);
    setcontext(&context);
}

void Fibers::resume(int number) {
    Fiber& fiber = *fibers_[static_cast<std::size_t>(number)];
    running_ = number;
    if (_setjmp(caller_) == 0) {
        if (fiber.begun) std::longjmp(fiber.at, 1);
        begin(fiber);
    }
    running_ = -1;
}

void Fibers::pause() {
    if (_setjmp(fibers_[static_cast<std::size_t>(running_)]->at) == 0) std::longjmp(caller_, 1);
}

void Fibers::leave() {
    fibers_[static_cast<std::size_t>(running_)]->begun = false;
    std::longjmp(caller_, 1);
}

bool Fibers::on_any_stack(const void* address) const {
    return std::ranges::any_of(fibers_, [&](const auto& fiber) { return address >= fiber->stack && address < fiber->stack + kStack; });
}

}  // namespace tandem::emulator
