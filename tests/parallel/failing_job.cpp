// failing_job HOW: a job whose ranks fail in the way that is asked for; failure-test watches how it ends.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <new>
#include <string>

#include "kernels/base/arena.h"
#include "kernels/base/backend.h"
#include "tests/support/child_job.h"

using namespace tandem;

namespace {

/// The last rank fails while a message of it is under way, large enough that MPI fetches it when it is received: that is when its memory
/// would be gone.
void fail_while_sending(Runtime& runtime) {
    const auto backend = make_ref_backend();
    const auto stream = backend->make_stream();
    Arena arena(*backend, MemoryKind::Communication, std::size_t{8} << 20U);
    const Tensor x = arena.allocate("message", DType::U8, {8 << 20});
    if (runtime.rank() == runtime.size() - 1) {
        const auto transfer = runtime.world().start_send(*stream, x, 0, 1);
        fail(Failure::Input, "shard 7 is truncated");
    }
    if (runtime.rank() > 0) return;
    sleep(1);
    runtime.world().recv(*stream, x, runtime.size() - 1, 1);
}

int work(Runtime& runtime, const std::string& how) {
    runtime.world().barrier();
    const bool last = runtime.rank() == runtime.size() - 1;
    if (how == "together") fail(Failure::Configuration, "a wrong key");
    if (how == "differ") fail(Failure::Input, "rank {} saw it", runtime.rank());
    if (how == "alone" && last) fail(Failure::Input, "shard 7 is truncated");
    if (how == "alone_first" && runtime.rank() == 0) fail(Failure::Diverged, "loss is not finite");
    if (how == "alone_alloc" && last) throw std::bad_alloc();
    if (how == "exit0" && last) std::exit(0);
    if (how == "exit7" && last) std::exit(7);
    if (how == "segfault" && last) std::raise(SIGSEGV);
    if (how == "stalled" && last) pause();
    if (how == "stopped" && last) std::raise(SIGSTOP);
    if (how == "launcher_stopped" && last) kill(getppid(), SIGSTOP), pause();
    if (how == "alone_sending") fail_while_sending(runtime);
    runtime.world().barrier();
    return 0;
}

}  // namespace

int main(int argc, char** argv) { return tandem::test::child_job(argc, argv, work); }
