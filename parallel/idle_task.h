// What a rank does while it waits in MPI for another one.
#pragma once

#include <vector>

namespace tandem {

/// Something of this process that goes on only when it is looked at. While it lives and is pending, receives of MpiCommunicator look at it
/// over and over instead of blocking. One thread makes them all.
class IdleTask {
public:
    IdleTask();
    virtual ~IdleTask();
    IdleTask(const IdleTask&) = delete;
    IdleTask& operator=(const IdleTask&) = delete;

    [[nodiscard]] virtual bool pending() const = 0;
    virtual void look() = 0;  ///< does not block

    [[nodiscard]] static bool any_pending();
    static void look_at_all();
};

}  // namespace tandem
