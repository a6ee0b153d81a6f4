#include "tests/support/emulator/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/support/emulator/block.h"

namespace tandem::emulator {

namespace {

std::size_t pages(std::size_t bytes) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    return (bytes + page - 1) / page * page;
}

void* map(std::size_t bytes, int rights) {
    void* base = mmap(nullptr, bytes, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return base == MAP_FAILED ? nullptr : base;
}

void say(const char* text) { (void)!write(2, text, std::strlen(text)); }

void host_fault(int signal, siginfo_t* info, void*) {
    if (running()) {
        say("emulator: a kernel's thread touched memory without the emulator's knowing, or needs more local memory than it has");
    } else {
        say("emulator: the host touched memory that is not its own");
        if (memory().contains(info->si_addr, 1)) say(": memory of the emulated device, which host code reaches through copies only");
    }
    say("\n");
    std::signal(signal, SIG_DFL);
    raise(signal);
}

/// On a stack of its own: a fiber's may be what is full.
void watch_for_faults() {
    static std::byte stack[64 << 10U];
    stack_t other{};
    other.ss_sp = stack;
    other.ss_size = sizeof stack;
    sigaltstack(&other, nullptr);
    struct sigaction action {};
    action.sa_sigaction = host_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, nullptr);
}

}  // namespace

Memory& memory() {
    static Memory* one = [] {
        watch_for_faults();
        return new Memory;  // outlives whatever static objects still hold device memory
    }();
    return *one;
}

void* Memory::allocate(std::size_t bytes) {
    if (bytes > capacity_ - std::min(used_, capacity_)) return nullptr;
    Region region;
    region.bytes = bytes;
    region.mapped = pages(bytes) + pages(1);  // a closed page behind it
    void* base = map(region.mapped, PROT_NONE);
    region.writer = static_cast<Mark*>(map(sizeof(Mark) * bytes, PROT_READ | PROT_WRITE));
    region.reader = static_cast<Mark*>(map(sizeof(Mark) * bytes, PROT_READ | PROT_WRITE));
    if (base == nullptr || region.writer == nullptr || region.reader == nullptr) return nullptr;
    region.base = reinterpret_cast<std::uintptr_t>(base);
    used_ += bytes;
    regions_.emplace(region.base, region);
    return base;
}

bool Memory::release(void* base) {
    const auto found = regions_.find(reinterpret_cast<std::uintptr_t>(base));
    if (found == regions_.end()) return false;
    const Region& region = found->second;
    munmap(base, region.mapped);
    munmap(region.writer, sizeof(Mark) * region.bytes);
    munmap(region.reader, sizeof(Mark) * region.bytes);
    used_ -= region.bytes;
    regions_.erase(found);
    last_ = nullptr;
    return true;
}

void Memory::protect(int rights) {
    for (const auto& [base, region] : regions_)
        if (mprotect(reinterpret_cast<void*>(base), pages(region.bytes), rights) != 0) std::perror("emulator: mprotect");
}

Memory::Open::Open(Memory& memory) : memory_(memory) {
    if (memory_.open_++ == 0) memory_.protect(PROT_READ | PROT_WRITE);
}
Memory::Open::~Open() {
    if (--memory_.open_ == 0) memory_.protect(PROT_NONE);
}

const Memory::Region* Memory::find(const void* address) const {
    const auto place = reinterpret_cast<std::uintptr_t>(address);
    auto next = regions_.upper_bound(place);
    if (next == regions_.begin()) return nullptr;
    --next;
    return place - next->first < next->second.mapped ? &next->second : nullptr;
}

bool Memory::contains(const void* address, std::size_t bytes) const { return outside(address, bytes).empty(); }

std::string Memory::outside(const void* address, std::size_t bytes) const {
    const Region* found = find(address);
    if (found == nullptr) return fmt::format("{}, which is not memory of the device", address);
    const std::size_t first = reinterpret_cast<std::uintptr_t>(address) - found->base;
    if (first + bytes <= found->bytes) return "";
    return fmt::format("bytes {} to {} of an allocation of {}: out of bounds", first, first + bytes, found->bytes);
}

std::string Memory::unreadable(const void* address, std::size_t bytes) const {
    if (auto wrong = outside(address, bytes); !wrong.empty()) return wrong;
    const Region* found = find(address);
    const std::size_t first = reinterpret_cast<std::uintptr_t>(address) - found->base;
    for (std::size_t i = first; i < first + bytes; ++i)
        if (found->writer[i] == 0) return fmt::format("byte {} of an allocation of {}, which was never written", i, found->bytes);
    return "";
}

std::string Memory::written(const void* address, std::size_t bytes) {
    if (auto wrong = outside(address, bytes); !wrong.empty()) return wrong;
    const Region* found = find(address);
    std::fill_n(found->writer + (reinterpret_cast<std::uintptr_t>(address) - found->base), bytes, kHostMark);
    return "";
}

void Memory::copy_marks(const void* to, const void* from, std::size_t bytes) {
    const Region *source = find(from), *target = find(to);
    const Mark* was = source->writer + (reinterpret_cast<std::uintptr_t>(from) - source->base);
    Mark* is = target->writer + (reinterpret_cast<std::uintptr_t>(to) - target->base);
    for (std::size_t i = 0; i < bytes; ++i) is[i] = was[i] == 0 ? 0 : kHostMark;
}

void Memory::spoil_unwritten(void* host, const void* from, std::size_t bytes) const {
    const Region* source = find(from);
    const Mark* was = source->writer + (reinterpret_cast<std::uintptr_t>(from) - source->base);
    for (std::size_t i = 0; i < bytes; ++i)
        if (was[i] == 0) static_cast<std::uint8_t*>(host)[i] = 0xff;
}

}  // namespace tandem::emulator
