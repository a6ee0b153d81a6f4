// SIGUSR1 or SIGTERM at any rank: the step in flight ends, the state is saved, the program exits with 75. Handlers only
// raise a flag; the ranks agree on it at a step boundary.
#pragma once

namespace tandem {

/// While one exists, SIGUSR1, SIGTERM and a first SIGINT raise the flag; a second SIGINT ends the process at once.
class StopRequest {
public:
    StopRequest();
    ~StopRequest();
    StopRequest(const StopRequest&) = delete;
    StopRequest& operator=(const StopRequest&) = delete;

    [[nodiscard]] bool raised() const;
};

}  // namespace tandem
