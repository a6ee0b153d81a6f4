// tandem train: from a configuration to an adapter or a model.
#include <cstdio>

#include "launch/command.h"
#include "launch/options.h"
#include "launch/watch.h"
#include "parallel/runtime.h"
#include "src/engine/device.h"
#include "src/train/trainer.h"

namespace tandem {
namespace {

int train(Runtime& runtime, const std::vector<std::string>& arguments) {
    std::string file;
    std::vector<Override> overrides;
    CommandLine line(train_command, runtime);
    line.argument("CONFIG", file, "the run's configuration, an INI file").configuration(overrides);
    bool trace = false;
    line.flag("trace", trace, "write output.dir/trace.json: what every rank did when, for chrome://tracing or ui.perfetto.dev");
    if (!line.parse(arguments)) return 0;
    const RunConfig config = load_run_config(file, overrides, Purpose::Train);
    // What keeps a device from being used at all costs nothing to find out, and comes before anything is written.
    (void)place_on_device(config, runtime.local_rank());
    std::error_code ignored;
    if (runtime.rank() == 0) std::filesystem::remove(std::filesystem::path(config.output.dir) / "failure.json", ignored);
    watch(runtime, config.watchdog.deadline, config.output.dir);
    try {
        Trainer trainer(config, {runtime.world(), runtime.threads_per_rank(), runtime.local_size(), runtime.local_rank(),
                                 runtime.rank() == 0 ? stdout : nullptr, runtime.hostname(), TANDEM_VERSION, trace});
        return trainer.run();
    } catch (const Error& error) {
        if (error.failure() != Failure::Configuration)
            write_failure(config.output.dir, {static_cast<int>(error.failure()), error.what(), runtime.rank(), runtime.hostname()});
        throw;
    }
}

}  // namespace

const Command train_command = {"train", "CONFIG [--trace] [--section.key value ...]",
                               "trains; goes on from the newest checkpoint in output.dir", train};

}  // namespace tandem
