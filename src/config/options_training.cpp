// [training] [evaluation] [log] [optimizer] [schedule]
#include "src/config/option_builder.h"

namespace tandem {
namespace {

void add_training(std::vector<Option>& table) {
    SectionRows<TrainingSection> training("training", &RunConfig::training, table);
    training.integer("max_steps", &TrainingSection::max_steps, at_least(1), "none", "optimizer steps; wins over training.epochs");
    training.real("epochs", &TrainingSection::epochs, above(0), "passes over data.train");
    training.integer("global_batch_size", &TrainingSection::global_batch_size, {1, 1e9},
                     "sequences (with packing: rows) of one optimizer step, over all ranks");
    training.integer("micro_batch_size", &TrainingSection::micro_batch_size, {1, 1e9},
                     "sequences that one rank works on at a time; accumulation is global / (micro x data)");
    training.row("seed", &TrainingSection::seed, "a whole number from 0 to 2^64 - 1", "", "order of the data, random weights, dropout",
                 parse_seed, [](std::uint64_t value) { return nlohmann::ordered_json(value); });
    training.choice("nonfinite", &TrainingSection::nonfinite, Words<NonFinite>{{"stop", NonFinite::Stop}, {"skip", NonFinite::Skip}},
                    "a step whose loss or gradient is not finite: end with exit code 5, or leave it out and go on");
    training.choice("recompute", &TrainingSection::recompute,
                    Words<Recompute>{{"auto", Recompute::Auto}, {"none", Recompute::None}, {"full", Recompute::Full}},
                    "keep activations, or compute each layer's forward pass again in the backward pass to save memory");

    SectionRows<EvaluationSection> evaluation("evaluation", &RunConfig::evaluation, table);
    evaluation.integer("every", &EvaluationSection::every, at_least(0), "steps between validations; 0: at the start and at the end only");
    evaluation.integer("max_samples", &EvaluationSection::max_samples, at_least(1), "all", "validate on the first so many samples only");

    SectionRows<LogSection> log("log", &RunConfig::log, table);
    log.integer("every", &LogSection::every, at_least(1), "steps between progress lines; log.jsonl has every step");
}

/// optimizer.no_decay is one key and two fields.
Option no_decay() {
    Option option;
    option.key = "optimizer.no_decay";
    option.values = "none, norms, biases or norms,biases";
    option.default_text = "none";
    option.help = "parameters that weight decay leaves alone";
    option.set = [](RunConfig& config, std::string_view text) {
        bool norms = false, biases = false;
        if (text != "none") {
            for (const auto& entry : parse_list(text)) {
                if (entry == "norms") norms = true;
                else if (entry == "biases") biases = true;
                else throw BadValue("none, norms, biases or norms,biases" + did_you_mean(entry, {"none", "norms", "biases"}));
            }
        }
        config.optimizer.no_decay_norms = norms;
        config.optimizer.no_decay_biases = biases;
    };
    option.get = [](const RunConfig& config) -> nlohmann::ordered_json {
        auto exempt = nlohmann::ordered_json::array();
        if (config.optimizer.no_decay_norms) exempt.push_back("norms");
        if (config.optimizer.no_decay_biases) exempt.push_back("biases");
        return exempt.empty() ? nlohmann::ordered_json() : exempt;
    };
    return option;
}

void add_optimizer(std::vector<Option>& table) {
    SectionRows<OptimizerSection> optimizer("optimizer", &RunConfig::optimizer, table);
    optimizer.choice("name", &OptimizerSection::name,
                     Words<OptimizerName>{{"adamw", OptimizerName::AdamW},
                                          {"adamw_8bit", OptimizerName::AdamW8bit},
                                          {"paged_adamw_8bit", OptimizerName::PagedAdamW8bit},
                                          {"sgd", OptimizerName::Sgd}},
                     "adamw as torch.optim.AdamW, adamw_8bit as bitsandbytes' AdamW8bit, paged_adamw_8bit the same with states in host "
                     "memory, sgd as torch.optim.SGD without momentum");
    optimizer.real("learning_rate", &OptimizerSection::learning_rate, at_least(0), "peak learning rate, reached after the warm-up");
    optimizer.real("weight_decay", &OptimizerSection::weight_decay, at_least(0), "decoupled weight decay of every trained parameter");
    optimizer.real("beta1", &OptimizerSection::beta1, {0, 1, Range::Upper::Exclusive}, "decay of the first moment");
    optimizer.real("beta2", &OptimizerSection::beta2, {0, 1, Range::Upper::Exclusive}, "decay of the second moment");
    optimizer.real("eps", &OptimizerSection::eps, at_least(0), "added to the root of the second moment");
    optimizer.real("max_grad_norm", &OptimizerSection::max_grad_norm, at_least(0), "gradients are scaled down to this norm; 0: never");
    table.push_back(no_decay());
}

void add_schedule(std::vector<Option>& table) {
    SectionRows<ScheduleSection> schedule("schedule", &RunConfig::schedule, table);
    schedule.choice(
        "type", &ScheduleSection::type,
        Words<ScheduleType>{{"cosine", ScheduleType::Cosine}, {"linear", ScheduleType::Linear}, {"constant", ScheduleType::Constant}},
        "learning rate after the warm-up, with the values of the transformers schedule of that name");
    schedule.integer("warmup_steps", &ScheduleSection::warmup_steps, at_least(0),
                     "steps of linear warm-up; wins over warmup_ratio where above 0");
    schedule.optional("warmup_ratio", &ScheduleSection::warmup_ratio, "a number, from 0 to 1", "none", "warm-up as a part of all steps",
                      [](std::string_view text) {
                          return parse_real(text, {0, 1});
                      });
    schedule.real("min_lr_ratio", &ScheduleSection::min_lr_ratio, {0, 1}, "learning rate at the end, as a part of the peak");
}

}  // namespace

void add_training_options(std::vector<Option>& table) {
    add_training(table);
    add_optimizer(table);
    add_schedule(table);
}

}  // namespace tandem
