// One message for the job: what every place that may write it asks first.
#pragma once

#include <string>

namespace tandem {

/// A job begins, and nobody has written its message.
void renew_failure_message();
/// Whether this process may write the job's message: true once, and not after leave_message_to_others().
[[nodiscard]] bool claim_failure_message();
/// Another rank has written the message, and the job is ending.
void leave_message_to_others();

/// "tandem: error: MESSAGE" as one line on stderr, from any thread, whatever the standard streams are stuck in.
void print_failure(const std::string& message);

}  // namespace tandem
