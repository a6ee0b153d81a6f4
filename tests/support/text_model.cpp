#include "tests/support/text_model.h"

#include <fstream>

namespace tandem::test {

namespace fs = std::filesystem;

TextModel::TextModel() {
    const fs::path tiny = source_directory() / "configs/tiny", start = scratch_ / "start";
    fs::create_directory(start);
    for (const auto* file : {"tokenizer.json", "tokenizer_config.json"}) fs::copy_file(tiny / file, start / file);
    auto config = nlohmann::json::parse(read_text(tiny / "config.json"));
    config.update({{"hidden_size", 48}, {"intermediate_size", 80}, {"num_hidden_layers", 5}, {"initializer_range", 0.2}});
    config.update({{"num_attention_heads", 4}, {"num_key_value_heads", 2}});
    std::ofstream(start / "config.json") << config.dump();
    std::ofstream(scratch_ / "run.ini") << "[data]\nmax_seq_length = 48\nformat = tokenized\n[training]\nglobal_batch_size = 4\n";
    run_well(words("train", start) + Arguments{"--model.init", "random", "--method.type", "full", "--output.dtype", "fp32",
                                               "--training.max_steps", "1", "--output.dir", scratch_ / "run"});
}

Arguments TextModel::words(const std::string& command, const fs::path& model) const {
    const auto data = (source_directory() / "tests/golden/models/llama2_mha/data.jsonl").string();
    return {command, scratch_ / "run.ini", "--model.path", model.string(), "--data.train", data, "--data.validation", data};
}

}  // namespace tandem::test
