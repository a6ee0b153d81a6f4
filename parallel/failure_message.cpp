#include "parallel/failure_message.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string_view>

namespace tandem {
namespace {

std::atomic<bool> taken = false;

/// Messages may quote files, lines' ends included; what is printed is one line all the same, which scripts look for.
std::string on_one_line(const std::string& message) {
    std::string line;
    for (const char c : message) {
        if (c == '\n') line += "\\n";
        else if (c == '\r') line += "\\r";
        else line += c;
    }
    return line;
}

}  // namespace

void renew_failure_message() { taken = false; }

bool claim_failure_message() { return !taken.exchange(true); }

void leave_message_to_others() { taken = true; }

void print_failure(const std::string& message) {
    const std::string line = "tandem: error: " + on_one_line(message) + "\n";
    for (std::string_view rest = line; !rest.empty();) {
        const auto n = ::write(STDERR_FILENO, rest.data(), rest.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;  // there is nobody to tell
        rest.remove_prefix(static_cast<std::size_t>(n));
    }
}

}  // namespace tandem
