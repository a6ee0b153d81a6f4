// An adapter goes with the base it was trained over: the program says so where it is used over another one.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/program.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const Arguments kBlocks = {"--quantization.type",       "fp4", "--quantization.double_quant", "false",
                           "--quantization.block_size", "128", "--quantization.skip_modules", "down_proj"};

class AdapterBase : public testing::Test {
protected:
    AdapterBase() {
        run_well({"import", source_directory() / "tests/io/golden/byte_level.gguf", base_, "--dtype", "bf16"});
        std::ofstream(config_)
            << "[data]\nformat = text\nmax_seq_length = 64\n[training]\nglobal_batch_size = 2\nmax_steps = 2\n[lora]\nr = 2\n"
               "[checkpoint]\nevery = 1\n";
        for (int i = 0; i < 4; ++i) std::ofstream(data_, std::ios::app) << R"({"text": "hello there, the )" << i << " things\"}\n";
        train("qlora", kBlocks);
    }
    [[nodiscard]] Arguments words(const std::string& command, const std::string& method) const {
        return {command, config_, "--model.path", base_, "--data.train", data_, "--data.validation", data_, "--method.type", method};
    }
    void train(const std::string& method, const Arguments& more) const {
        run_well(words("train", method) + Arguments{"--output.dir", scratch_ / method} + more);
    }
    [[nodiscard]] std::string generate_warning(const std::string& adapter, const Arguments& more) const {
        return run_well(Arguments{"generate", "--model", base_, "--adapter", adapter, "--prompt", "hello", "--max-new-tokens", "2"} + more)
            .err;
    }
    [[nodiscard]] json merged(const std::string& adapter, const std::string& out, std::string& err, const Arguments& more = {}) const {
        const Finished end =
            run_well(Arguments{"merge", "--model", base_, "--adapter", adapter, out, "--base", "dequantized", "--no-check"} + more);
        err = end.err;
        return json::parse(read_text(fs::path(out) / "merge.json")).at("quantization");
    }

    Scratch scratch_;
    const std::string base_ = scratch_ / "base", config_ = scratch_ / "run.ini", data_ = scratch_ / "data.jsonl";
};

std::string joined(const Arguments& words) {
    std::string text;
    for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
    return text;
}

void expect_one_line_with(const std::string& err, const std::string& part) {
    EXPECT_EQ(std::ranges::count(err, '\n'), 1) << err;
    EXPECT_TRUE(err.starts_with("tandem: warning: ")) << err;
    EXPECT_NE(err.find(part), std::string::npos) << err;
}

TEST_F(AdapterBase, IsAskedForWhereItIsNotTheOneThatIsRead) {
    const std::string adapter = scratch_ / "qlora/adapter";
    expect_one_line_with(generate_warning(adapter, {}), "as it is: " + joined(kBlocks) + " gives that base");
    expect_one_line_with(generate_warning(adapter, {"--quantization.type", "fp4"}), "as fp4/64/double: " + joined(kBlocks));
    EXPECT_EQ(generate_warning(adapter, kBlocks), "");
    const auto eval = [&](const std::string& method, const Arguments& more) {
        return run_well(words("eval", method) + Arguments{"--lora.adapter", adapter, "--output.dir", scratch_ / "eval"} + more).err;
    };
    expect_one_line_with(eval("lora", {}), ": --method.type qlora " + joined(kBlocks));
    EXPECT_EQ(eval("qlora", kBlocks), "");

    // In a checkpoint it goes along, and it goes with the files of the adapter alone.
    run_well({"export", scratch_ / "qlora/checkpoints/step-2.h5", scratch_ / "exported"});
    EXPECT_EQ(read_text(scratch_ / "exported/adapter_model.safetensors"), read_text(fs::path(adapter) / "adapter_model.safetensors"));

    train("lora", {});
    EXPECT_EQ(generate_warning(scratch_ / "lora/adapter", {}), "");

    run_well(Arguments{"quantize", base_, scratch_ / "stored", "--type", "nf4"});
    const Finished over =
        run_well({"generate", "--model", scratch_ / "stored", "--adapter", adapter, "--prompt", "hello", "--max-new-tokens", "2"});
    expect_one_line_with(over.err, "the model in full precision with " + joined(kBlocks));
}

TEST_F(AdapterBase, IsWhatItIsMergedInto) {
    const json blocks = {{"type", "fp4"}, {"double_quant", false}, {"block_size", 128}, {"skip_modules", {"down_proj"}}};
    fs::rename(scratch_ / "qlora/adapter", scratch_ / "alone");  // its run's manifest is not beside it
    std::string err;
    EXPECT_EQ(merged(scratch_ / "alone", scratch_ / "a", err), blocks);
    EXPECT_EQ(err, "");
    json typed = blocks;
    typed["block_size"] = 32;
    typed["skip_modules"] = {"up_proj", "q_proj"};
    EXPECT_EQ(merged(scratch_ / "alone", scratch_ / "b", err,
                     {"--quantization.block_size", "32", "--quantization.skip_modules", "up_proj, q_proj"}),
              typed);

    // Over a directory in blocks it was these.
    run_well({"quantize", base_, scratch_ / "stored", "--block-size", "256"});
    const Finished over =
        run_well({"merge", "--model", scratch_ / "stored", "--adapter", scratch_ / "alone", scratch_ / "c", "--base", "dequantized"});
    EXPECT_EQ(json::parse(read_text(scratch_ / "c/merge.json")).at("quantization").at("block_size"), 256);
    EXPECT_NE(over.out.find("nf4/256/double"), std::string::npos) << over.out;

    // Factors that another program wrote do not say.
    train("lora", {});
    fs::rename(scratch_ / "lora/adapter", scratch_ / "foreign");
    merged(scratch_ / "foreign", scratch_ / "d", err);
    expect_one_line_with(err, "nf4 is assumed");
}

}  // namespace
}  // namespace tandem::test
