// tandem prepare: data files to token files, and what is in them.
#include <fmt/format.h>

#include <array>
#include <functional>

#include "launch/command.h"
#include "launch/options.h"
#include "parallel/runtime.h"
#include "src/data/sample_text.h"
#include "src/io/json.h"
#include "src/model/model_config.h"
#include "src/train/data_source.h"
#include "src/train/rank_zero.h"

namespace tandem {
namespace {

struct Options {
    std::string config_file;
    std::vector<Override> overrides;
    bool json = false;
    std::int64_t show_sample = 0;  ///< from 1; 0: none
};

/// One of the two data sets of a run.
struct Part {
    const char* title;
    const char* json_name;
    const std::vector<std::string>& files;
};

Json to_json(const Prepared& prepared) {
    Json json = to_json(prepared.report);
    json["file"] = prepared.file.path().string();
    json["key"] = prepared.file.key();
    json["cached"] = prepared.cached;
    return json;
}

std::string describe(const Prepared& prepared, const std::string& title) {
    auto text = describe(prepared.report, title);
    if (!prepared.note.empty()) text += "  made again: " + prepared.note + "\n";
    return text + fmt::format("  {:<16}{}{}\n", "token file", prepared.file.path().string(), prepared.cached ? " (was there already)" : "");
}

std::string show_sample(const Prepared& prepared, const Tokenizer* tokenizer, std::int64_t number) {
    if (number > prepared.file.samples()) {
        fail(Failure::Configuration, "--show-sample {}: data.train has {} samples", number, prepared.file.samples());
    }
    return fmt::format("sample {} of data.train, {} tokens; what is trained stands between {} and {}\n{}\n", number,
                       prepared.file.length(number - 1), kTrainedBegin, kTrainedEnd, sample_text(prepared.file, number - 1, tokenizer));
}

std::string prepare_all(const RunConfig& config, const Options& options, int threads) {
    const auto vocabulary = load_model_config(config.model.path).vocabulary;
    const auto tools = load_text_tools(config);
    const Tokenizer* tokenizer = tools.tokenizer ? &*tools.tokenizer : nullptr;
    const ChatTemplate* chat_template = tools.chat_template ? &*tools.chat_template : nullptr;
    Json json = Json::object();
    std::string text;
    const std::array<Part, 2> parts = {
        {{"data.train", "train", config.data.train}, {"data.validation", "validation", config.data.validation}}};
    for (const auto& part : parts) {
        if (part.files.empty()) continue;
        const auto settings = data_settings(config, part.files, vocabulary, threads);
        const auto prepared = prepare(settings, tokenizer, chat_template);
        json[part.json_name] = to_json(prepared);
        text += describe(prepared, part.title);
        if (options.show_sample > 0 && part.files == config.data.train) {
            const auto sample = show_sample(prepared, tokenizer, options.show_sample);
            json["sample"] = sample;
            text += "\n" + sample + "\n";
        }
    }
    return options.json ? dump_json(json) + "\n" : text;
}

int run(Runtime& runtime, const std::vector<std::string>& arguments) {
    Options options;
    CommandLine line(prepare_command, runtime);
    line.argument("CONFIG", options.config_file, "the run's configuration, an INI file").configuration(options.overrides);
    line.flag("json", options.json, "print one JSON object");
    line.option("show-sample", options.show_sample, 1, "also print this sample of data.train (1 is the first), its trained parts marked");
    if (!line.parse(arguments)) return 0;
    const RunConfig config = load_run_config(options.config_file, options.overrides, Purpose::Prepare);
    // One rank has all of this machine's threads to itself, but asks only for its share: the others may share its processors.
    print_once(runtime, on_rank_zero(runtime.world(), std::function<std::string()>(
                                                          [&] { return prepare_all(config, options, runtime.threads_per_rank()); })));
    return 0;
}

}  // namespace

const Command prepare_command = {"prepare", "CONFIG [--section.key value ...]",
                                 "data to a packed token file, with a report of what is in it", run};

}  // namespace tandem
