// `tandem export`: a checkpoint becomes, byte for byte, what the run itself would have handed over.
#include <gtest/gtest.h>

#include <fstream>

#include "src/io/hdf5_file.h"
#include "tests/support/program.h"

namespace tandem::test {
namespace {

namespace fs = std::filesystem;

fs::path golden_model() { return source_directory() / "tests/golden/models/llama_gqa"; }

/// A finished run of three steps with a checkpoint of each in OUT.
void train(const std::string& output, const Arguments& options, const std::string& model = golden_model().string()) {
    const std::string config = output + ".ini";
    std::ofstream(config) << "[data]\nformat = tokenized\nmax_seq_length = 64\n[training]\nmax_steps = 3\nglobal_batch_size = 4\n"
                             "[checkpoint]\nevery = 1\nkeep = 10\n";
    run_well(Arguments{"train", config, "--model.path", model, "--data.train", (golden_model() / "data.jsonl").string(), "--output.dir",
                       output} +
             options);
}

std::string step(const std::string& output, int n) { return output + "/checkpoints/step-" + std::to_string(n) + ".h5"; }

void expect_same_files(const fs::path& got, const fs::path& want) {
    std::vector<fs::path> names;
    for (const auto& entry : fs::directory_iterator(want)) names.push_back(entry.path().filename());
    EXPECT_EQ(std::distance(fs::directory_iterator(got), fs::directory_iterator()), static_cast<std::ptrdiff_t>(names.size()));
    for (const auto& name : names) EXPECT_EQ(read_text(got / name), read_text(want / name)) << name;
}

void expect_refused(const Arguments& words, int code, const std::string& word) {
    const Finished end = run_program(words);
    EXPECT_EQ(end.code, code) << end.command << end.err;
    EXPECT_NE(end.err.find(word), std::string::npos) << end.err;
}

TEST(Export, AnAdapterIsThatOfTheRun) {
    const Scratch scratch;
    train(scratch / "run", {});
    run_well({"export", step(scratch / "run", 3), scratch / "out"});
    expect_same_files(scratch / "out", scratch / "run/adapter");
    run_well({"export", scratch / "run", scratch / "newest"});
    expect_same_files(scratch / "newest", scratch / "run/adapter");

    // The state after step 1 is another one.
    run_well({"export", step(scratch / "run", 1), scratch / "first"});
    EXPECT_NE(read_text(scratch / "first/adapter_model.safetensors"), read_text(scratch / "out/adapter_model.safetensors"));
    expect_refused({"export", step(scratch / "run", 1), scratch / "out"}, 2, "is not empty");
    expect_refused({"export", scratch / "nowhere", scratch / "x"}, 2, "does not exist");
    expect_refused({"export", (golden_model() / "config.json").string(), scratch / "x"}, 3, "config.json");
    EXPECT_FALSE(fs::exists(scratch / "x"));
}

TEST(Export, AModelIsThatOfTheRunAndItsBaseMayMove) {
    const Scratch scratch;
    fs::copy(golden_model(), scratch / "base");
    train(scratch / "run", {"--method.type", "full"}, scratch / "base");
    run_well({"export", scratch / "run", scratch / "out"});
    expect_same_files(scratch / "out", scratch / "run/model");
    fs::rename(scratch / "base", scratch / "moved");
    expect_refused({"export", scratch / "run", scratch / "x"}, 2, "--model");
    run_well({"export", scratch / "run", scratch / "again", "--model", scratch / "moved"});
    expect_same_files(scratch / "again", scratch / "run/model");
    const auto other = (source_directory() / "tests/golden/models/llama_tied").string();
    expect_refused({"export", scratch / "run", scratch / "x", "--model", other}, 3, "another model");
    run_well({"export", scratch / "run", scratch / "fp32", "--model", scratch / "moved", "--dtype", "fp32"});
    EXPECT_GT(fs::file_size(scratch / "fp32/model.safetensors"), fs::file_size(scratch / "out/model.safetensors"));
    EXPECT_FALSE(fs::exists(scratch / "x"));
}

/// Of whose checkpoints only the masters are of use here.
TEST(Export, AModelOfAnEightBitOptimizerIsThatOfTheRun) {
    for (const std::string optimizer : {"adamw_8bit", "paged_adamw_8bit"}) {
        const Scratch scratch;
        train(scratch / "run", {"--method.type", "full", "--optimizer.name", optimizer});
        EXPECT_TRUE(Hdf5File::open(step(scratch / "run", 3)).contains("exp_avg_8bit/lm_head.weight")) << optimizer;
        run_well({"export", scratch / "run", scratch / "out"});
        expect_same_files(scratch / "out", scratch / "run/model");
    }
}

/// Flips a bit of a trained tensor: HDF5 itself does not notice.
void damage(const std::string& checkpoint) {
    const Hdf5File file = Hdf5File::open(checkpoint);
    const auto at = static_cast<std::streamoff>(file.dataset("master/" + file.children("master").front()).offset) + 5;
    std::fstream f(checkpoint, std::ios::in | std::ios::out | std::ios::binary);
    f.seekg(at);
    const char c = static_cast<char>(f.get());
    f.seekp(at);
    f.put(static_cast<char>(c ^ 0x40));
}

TEST(Export, ADamagedCheckpointIsPassedOverInARunAndRefusedByName) {
    const Scratch scratch;
    train(scratch / "run", {});
    fs::resize_file(step(scratch / "run", 3), fs::file_size(step(scratch / "run", 3)) - 100);
    expect_refused({"export", step(scratch / "run", 3), scratch / "x"}, 3, "step-3.h5");
    EXPECT_FALSE(fs::exists(scratch / "x"));
    damage(step(scratch / "run", 1));
    expect_refused({"export", step(scratch / "run", 1), scratch / "x"}, 3, "checksum");
    EXPECT_FALSE(fs::exists(scratch / "x"));
    const Finished end = run_well({"export", scratch / "run", scratch / "out"});
    EXPECT_NE(end.out.find("after step 2"), std::string::npos) << end.out;
    EXPECT_NE(end.err.find("step-3.h5"), std::string::npos) << end.err;
}

}  // namespace
}  // namespace tandem::test
