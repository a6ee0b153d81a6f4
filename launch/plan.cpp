// tandem plan: what a run would need, without doing it.
#include <fmt/format.h>

#include "launch/command.h"
#include "launch/options.h"
#include "parallel/draw.h"
#include "parallel/runtime.h"
#include "src/engine/device.h"
#include "src/io/json.h"
#include "src/plan/run_plan.h"
#include "src/plan/step_simulation.h"
#include "src/plan/this_machine.h"

namespace tandem {
namespace {

std::int64_t ranks_to_plan(const std::optional<Hardware>& hardware, std::int64_t asked, const Runtime& runtime) {
    if (!hardware) return asked > 0 ? asked : runtime.size();
    if (asked > hardware->ranks()) {
        fail(Failure::Configuration, "--ranks {}: the hardware file has {} node(s) of {} card(s), {} in all", asked, hardware->nodes,
             hardware->gpus.size(), hardware->ranks());
    }
    return asked > 0 ? asked : hardware->ranks();
}

int plan(Runtime& runtime, const std::vector<std::string>& arguments) {
    std::string file;
    std::optional<std::string> hardware_file;
    std::vector<Override> overrides;
    std::int64_t ranks = 0;
    bool json = false;
    CommandLine line(plan_command, runtime);
    line.argument("CONFIG", file, "the run's configuration, an INI file; data files are not opened").configuration(overrides);
    line.option("hardware", hardware_file, "hardware file (docs/planning.md); without it this machine, measured for a second");
    line.option("ranks", ranks, 0, "ranks of the run; 0 = all of the hardware's, or those this was started with");
    line.flag("json", json, "print one JSON object");
    bool picture = false;
    std::int64_t width = 100;
    line.flag("draw", picture, "print a picture of a step: what every pipeline stage does when");
    line.option("width", width, 10, "columns of the picture");
    if (!line.parse(arguments)) return 0;
    const RunConfig config = load_run_config(file, overrides, Purpose::Plan);
    std::optional<Hardware> hardware;
    if (hardware_file) hardware = load_hardware(*hardware_file);
    const std::int64_t count = ranks_to_plan(hardware, ranks, runtime);
    const int threads = threads_of(config, std::max(1, runtime.threads_per_rank() * runtime.size() / static_cast<int>(count)));
    if (!hardware) {
        const DevicePlace place = place_on_device(config, 0);
        hardware = place.backend == DeviceBackend::Cuda ? measure_gpus(static_cast<int>(count), place)
                                                        : measure_this_machine(static_cast<int>(count), threads);
    }
    const RunPlan answer = plan_run(config, *hardware, count, threads);
    if (picture) {
        const StepSimulation step = simulate_step({config, answer.layout, Purpose::Train, threads}, answer.memory, *hardware);
        const std::string drawn = draw(step.programs, step.timeline, static_cast<int>(width)) + "\n";
        if (!json) print_once(runtime, drawn);
        else if (runtime.rank() == 0) std::fputs(drawn.c_str(), stderr);
    }
    print_once(runtime, json ? dump_json(to_json(answer, config)) + "\n" : to_text(answer, config, *hardware));
    return answer.fits ? 0 : static_cast<int>(Failure::OutOfMemory);
}

}  // namespace

const Command plan_command = {"plan", "CONFIG [--hardware FILE] [--ranks N] [--draw] [--json] [--section.key value ...]",
                              "what a run would need: memory by kind, time of a step, whether it fits", plan};

}  // namespace tandem
