// tandem bench: the trainer's speed on this machine, op by op and step by step, against the machine's measured limits.
#include "launch/command.h"
#include "launch/options.h"
#include "launch/watch.h"
#include "parallel/runtime.h"
#include "parallel/whereabouts.h"
#include "src/io/json.h"
#include "src/plan/step_profile.h"

namespace tandem {
namespace {

int bench(Runtime& runtime, const std::vector<std::string>& arguments) {
    std::string file;
    std::vector<Override> overrides;
    std::int64_t steps = 5;
    bool json = false;
    CommandLine line(bench_command, runtime);
    line.argument("CONFIG", file,
                  "a run's configuration, an INI file; of model.path only config.json is read, weights and tokens are random");
    line.configuration(overrides);
    line.option("steps", steps, 1, "steps to time, after one that warms up");
    line.flag("json", json, "print one JSON object");
    if (!line.parse(arguments)) return 0;
    if (runtime.size() > 1)
        fail(Failure::Configuration, "bench measures one rank with its threads; start it without mpirun or with one rank");
    const RunConfig config = load_run_config(file, overrides, Purpose::Plan);
    (void)resolve_layout(config, 1, Purpose::Plan);
    watch(runtime, config.watchdog.deadline);
    const InPhase measuring(Phase::Measuring);
    const StepProfile profile = profile_step(config, runtime.threads_per_rank(), steps);
    print_once(runtime, json ? dump_json(to_json(profile)) + "\n" : to_text(profile));
    return 0;
}

}  // namespace

const Command bench_command = {"bench", "CONFIG [--steps N] [--json] [--section.key value ...]",
                               "the speed of a training step here, op by op, against this machine's limits", bench};

}  // namespace tandem
