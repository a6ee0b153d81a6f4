#include "tests/support/emulator/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tandem::emulator {

namespace {

constexpr std::uint64_t kAtomic = 1023;  ///< in place of a thread: any of them, atomically

std::size_t pages(std::size_t bytes) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    return (bytes + page - 1) / page * page;
}

void* map(std::size_t bytes, int rights) {
    void* base = mmap(nullptr, bytes, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return base == MAP_FAILED ? nullptr : base;
}

/// launch | block | thread | phase of the block, as much of each as fits: what it forgets makes it miss a race, never invent one.
std::uint64_t pack(const Accessor& who, bool atomic) {
    return std::uint64_t{who.launch & 0xffffffU} << 40U | std::uint64_t{who.block & 0xfffffU} << 20U |
           (atomic ? kAtomic : std::uint64_t{who.thread & 0x3ffU}) << 10U | (who.block_phase & 0x3ffU);
}

/// Whether what `last` wrote may not be touched by `who` yet.
bool conflict(std::uint64_t last, std::uint64_t who) {
    if (last >> 40U != who >> 40U) return false;                                  // another launch
    if (last >> 10U == who >> 10U) return false;                                  // the same thread, or both atomic
    if ((last >> 20U) == (who >> 20U)) return (last & 0x3ffU) == (who & 0x3ffU);  // same block: a barrier in between?
    return true;
}

void host_fault(int signal, siginfo_t* info, void*) {
    static const char start[] = "emulator: the host touched memory that is not its own";
    static const char device[] = ": memory of the emulated device, which host code reaches through copies only";
    (void)!write(2, start, sizeof start - 1);
    if (memory().contains(info->si_addr, 1)) (void)!write(2, device, sizeof device - 1);
    (void)!write(2, "\n", 1);
    std::signal(signal, SIG_DFL);
    raise(signal);
}

}  // namespace

Memory& memory() {
    static Memory* one = [] {
        struct sigaction action {};
        action.sa_sigaction = host_fault;
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGSEGV, &action, nullptr);
        return new Memory;  // outlives whatever static objects still hold device memory
    }();
    return *one;
}

void* Memory::allocate(std::size_t bytes) {
    if (bytes > capacity_ - used_) return nullptr;
    Region region;
    region.bytes = bytes;
    region.mapped = pages(bytes) + pages(1);  // a closed page behind it
    void* base = map(region.mapped, open_ > 0 ? PROT_READ | PROT_WRITE : PROT_NONE);
    region.initialised = static_cast<std::uint8_t*>(map(bytes, PROT_READ | PROT_WRITE));
    region.writer = static_cast<std::uint64_t*>(map(8 * bytes, PROT_READ | PROT_WRITE));
    if (base == nullptr || region.initialised == nullptr || region.writer == nullptr) return nullptr;
    used_ += bytes;
    regions_.emplace(reinterpret_cast<std::uintptr_t>(base), region);
    return base;
}

bool Memory::release(void* base) {
    const auto found = regions_.find(reinterpret_cast<std::uintptr_t>(base));
    if (found == regions_.end()) return false;
    munmap(base, found->second.mapped);
    munmap(found->second.initialised, found->second.bytes);
    munmap(found->second.writer, 8 * found->second.bytes);
    used_ -= found->second.bytes;
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

Memory::Regions::const_iterator Memory::find(const void* address) const {
    auto next = regions_.upper_bound(reinterpret_cast<std::uintptr_t>(address));
    if (next == regions_.begin()) return regions_.end();
    --next;
    return reinterpret_cast<std::uintptr_t>(address) < next->first + next->second.mapped ? next : regions_.end();
}

bool Memory::contains(const void* address, std::size_t bytes) const {
    const auto found = find(address);
    return found != regions_.end() && reinterpret_cast<std::uintptr_t>(address) + bytes <= found->first + found->second.bytes;
}

std::string Memory::outside(const void* address, std::size_t bytes) const {
    if (contains(address, bytes)) return "";
    const auto found = find(address);
    if (found == regions_.end()) return fmt::format("{} is not memory of the device", address);
    return fmt::format("bytes {} to {} of an allocation of {}", reinterpret_cast<std::uintptr_t>(address) - found->first,
                       reinterpret_cast<std::uintptr_t>(address) - found->first + bytes, found->second.bytes);
}

std::string Memory::written(const void* address, std::size_t bytes) {
    if (auto wrong = outside(address, bytes); !wrong.empty()) return wrong;
    const auto found = find(address);
    const auto offset = reinterpret_cast<std::uintptr_t>(address) - found->first;
    std::memset(found->second.initialised + offset, 1, bytes);
    std::memset(found->second.writer + offset, 0, 8 * bytes);
    return "";
}

std::string Memory::access(const void* address, std::size_t bytes, bool write, bool atomic, const Accessor& who, bool* known) {
    const auto place = reinterpret_cast<std::uintptr_t>(address);
    if (last_ == nullptr || place < last_base_ || place >= last_base_ + last_->mapped) {
        const auto found = find(address);
        *known = found != regions_.end();
        if (!*known) return "";
        last_base_ = found->first;
        last_ = &regions_.at(found->first);
    }
    *known = true;
    const std::size_t first = place - last_base_;
    if (first + bytes > last_->bytes)
        return fmt::format("bytes {} to {} of an allocation of {}: out of bounds", first, first + bytes, last_->bytes);
    const std::uint64_t me = pack(who, atomic);
    for (std::size_t i = first; i < first + bytes; ++i) {
        if ((!write || atomic) && last_->initialised[i] == 0)
            return fmt::format("byte {} of an allocation of {} was never written", i, last_->bytes);
        if (conflict(last_->writer[i], me)) {
            return fmt::format("byte {} of an allocation of {} was written by thread {} of block {} in the same launch: a race", i,
                               last_->bytes, last_->writer[i] >> 10U & 0x3ffU, last_->writer[i] >> 20U & 0xfffffU);
        }
    }
    if (write || atomic) {
        std::memset(last_->initialised + first, 1, bytes);
        for (std::size_t i = first; i < first + bytes; ++i) last_->writer[i] = me;
    }
    return "";
}

}  // namespace tandem::emulator
