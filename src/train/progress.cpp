#include "src/train/progress.h"

#include <fmt/format.h>

#include "src/config/units.h"

namespace tandem {

Progress::Progress(std::FILE* out, std::int64_t first_step, std::int64_t total_steps, std::int64_t every)
    : out_(out), first_(first_step), total_(total_steps), every_(every) {}

void Progress::step(const StepRecord& r, double epoch) {
    // The first step also pays for warming up, so it does not count once there are others.
    recent_seconds_ = r.step <= first_ + 1 ? r.seconds : 0.8 * recent_seconds_ + 0.2 * r.seconds;
    if (!out_ || (r.step != first_ && r.step != total_ && r.step % every_ != 0)) return;
    const double left = static_cast<double>(total_ - r.step) * recent_seconds_;
    fmt::print(out_, "step {:>{}}/{}  epoch {:.2f}  loss {:.4f}  grad norm {:.3f}  lr {:.2e}  {:.0f} tokens/s  ETA {}\n", r.step,
               fmt::formatted_size("{}", total_), total_, epoch, r.loss, r.grad_norm, r.learning_rate,
               static_cast<double>(r.tokens) / r.seconds, human_duration(left));
    std::fflush(out_);
}

}  // namespace tandem
