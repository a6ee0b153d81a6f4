// [data]
#include "src/config/option_builder.h"

namespace tandem {

void add_data_options(std::vector<Option>& table) {
    SectionRows<DataSection> data("data", &RunConfig::data, table);
    data.list("train", &DataSection::train, "files or globs, comma-separated", "none", "what is trained on (required by `train`)");
    data.list("validation", &DataSection::validation, "files or globs, comma-separated", "none",
              "held-out data; its loss is reported before, during (evaluation.every) and after training");
    data.choice("format", &DataSection::format,
                Words<DataFormat>{{"auto", DataFormat::Auto},
                                  {"text", DataFormat::Text},
                                  {"alpaca", DataFormat::Alpaca},
                                  {"sharegpt", DataFormat::ShareGpt},
                                  {"messages", DataFormat::Messages},
                                  {"tokenized", DataFormat::Tokenized}},
                "what a record looks like; tokenized is {\"input_ids\": [...], \"labels\": [...]} with -100 where nothing is learned");
    data.integer("max_seq_length", &DataSection::max_seq_length, {2, 16777216}, "tokens of a row; longer samples follow data.overlong");
    data.flag("packing", &DataSection::packing, "several samples share a row; they do not see each other");
    data.flag("shuffle", &DataSection::shuffle, "a new order every epoch, a function of training.seed; false: file order");
    data.text("chat_template", &DataSection::chat_template, "a path", "model", "a chat template file; model: the model's own");
    data.choice("train_on", &DataSection::train_on, Words<TrainOn>{{"assistant", TrainOn::Assistant}, {"all", TrainOn::All}},
                "which tokens of a conversation count in the loss");
    data.text("cache", &DataSection::cache, "a directory", "auto", "where prepared token files are kept; auto: under output.dir");
    data.choice("overlong", &DataSection::overlong,
                Words<Overlong>{{"drop", Overlong::Drop}, {"cut", Overlong::Cut}, {"split", Overlong::Split}},
                "what becomes of samples longer than data.max_seq_length; each is counted in the report");
}

}  // namespace tandem
