// Checkpoints: round trip, complete or not at all, damaged ones passed over, foreign ones refused.
#include "src/train/checkpoint.h"

#include <gtest/gtest.h>

#include <fstream>

#include "src/io/hdf5_file.h"
#include "tests/engine/tiny_state.h"
#include "tests/train/temporary_directory.h"

namespace tandem::test {
namespace {

CheckpointHeader header(std::int64_t step) { return {step, 42, 1, "base-hash", "data-hash", {"some/model", R"({"r":4})", DType::BF16}}; }

std::unique_ptr<Communicator> alone() { return make_self_communicator(); }

void save_steps(const std::filesystem::path& dir, TinyState& t, std::initializer_list<std::int64_t> steps, std::int64_t keep = 10) {
    CheckpointStore store(dir, keep);
    for (const auto s : steps) store.save(t.ctx, *t.self, *t.state, t.table, header(s));
}

/// Flips a bit of a tensor's data.
void damage(const std::filesystem::path& file) {
    const auto at = static_cast<std::streamoff>(Hdf5File::open(file).dataset("exp_avg/layer.weight").offset) + 5;
    std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
    f.seekg(at);
    const char c = static_cast<char>(f.get());
    f.seekp(at);
    f.put(static_cast<char>(c ^ 0x40));
}

Failure failure_of(const std::function<void()>& f, std::string& message) {
    try {
        f();
    } catch (const Error& error) {
        message = error.what();
        return error.failure();
    }
    message = "nothing was thrown";
    return Failure::Run;
}

TEST(Checkpoint, RoundTripIsExact) {
    const TemporaryDirectory dir;
    TinyState a;
    a.set_gradients(0.3F);
    a.optimizer->step(a.ctx, 0.01, 1, 1);
    save_steps(dir.path(), a, {7});
    TinyState b;
    const CheckpointHeader h = load_checkpoint(b.ctx, *b.self, *b.state, b.table, dir.path() / "step-7.h5", "base-hash");
    EXPECT_EQ(h.step, 7);
    EXPECT_EQ(h.seed, 42U);
    EXPECT_EQ(h.skipped, 1);
    EXPECT_EQ(h.data, "data-hash");
    for (std::size_t i = 0; i < 3; ++i) {
        for (const auto part : {StatePart::Master, StatePart::FirstMoment, StatePart::SecondMoment})
            EXPECT_EQ(a.get(i, part), b.get(i, part));
        EXPECT_EQ(b.table[i].weight.data<float>()[0], a.get(i, StatePart::Master)[0]);
    }
}

TEST(Checkpoint, KeepsTheNewest) {
    const TemporaryDirectory dir;
    TinyState t;
    save_steps(dir.path(), t, {8, 9, 10}, 2);
    EXPECT_FALSE(std::filesystem::exists(dir.path() / "step-8.h5"));
    EXPECT_TRUE(std::filesystem::exists(dir.path() / "step-9.h5"));
    std::vector<std::string> notes;
    EXPECT_EQ(CheckpointStore(dir.path(), 2).newest(*alone(), notes)->filename(), "step-10.h5");  // by number, not by name
    EXPECT_TRUE(notes.empty());
}

/// A run that begins anew in the directory of a longer one: what it saves is the newest, however small its steps.
TEST(Checkpoint, LaterStepsOfAnEarlierRunGoWithTheFirstSave) {
    const TemporaryDirectory dir;
    TinyState t;
    save_steps(dir.path(), t, {8, 9, 10}, 2);
    save_steps(dir.path(), t, {1}, 2);
    std::vector<std::string> notes;
    EXPECT_EQ(CheckpointStore(dir.path(), 2).newest(*alone(), notes)->filename(), "step-1.h5");
    EXPECT_FALSE(std::filesystem::exists(dir.path() / "step-10.h5"));
}

TEST(Checkpoint, NoneIsNoError) {
    const TemporaryDirectory dir;
    std::vector<std::string> notes;
    EXPECT_FALSE(CheckpointStore(dir.path() / "absent", 2).newest(*alone(), notes));
    std::ofstream(dir.path() / "step-3.h5.tmp") << "half";
    std::ofstream(dir.path() / "step-x.h5") << "other";
    EXPECT_FALSE(CheckpointStore(dir.path(), 2).newest(*alone(), notes));
}

TEST(Checkpoint, ADamagedNewestFallsBackAndSaysSo) {
    const TemporaryDirectory dir;
    TinyState t;
    save_steps(dir.path(), t, {1, 2});
    damage(dir.path() / "step-2.h5");
    std::vector<std::string> notes;
    EXPECT_EQ(CheckpointStore(dir.path(), 2).newest(*alone(), notes)->filename(), "step-1.h5");
    ASSERT_EQ(notes.size(), 1U);
    EXPECT_NE(notes[0].find("step-2.h5"), std::string::npos);
}

TEST(Checkpoint, ATruncatedFileIsPassedOverAtEveryLength) {
    const TemporaryDirectory dir;
    TinyState t;
    save_steps(dir.path(), t, {1, 2});
    const auto whole = std::filesystem::file_size(dir.path() / "step-2.h5");
    for (const auto length : {whole - 1, whole - 100, whole / 2, std::uintmax_t{100}, std::uintmax_t{0}}) {
        std::filesystem::resize_file(dir.path() / "step-2.h5", length);
        std::vector<std::string> notes;
        EXPECT_EQ(CheckpointStore(dir.path(), 2).newest(*alone(), notes)->filename(), "step-1.h5") << length;
    }
}

TEST(Checkpoint, OnlyDamagedOnesAreAnInputErrorThatSaysHowToStartAfresh) {
    const TemporaryDirectory dir;
    TinyState t;
    save_steps(dir.path(), t, {1});
    damage(dir.path() / "step-1.h5");
    std::string message;
    std::vector<std::string> notes;
    EXPECT_EQ(failure_of([&] { (void)CheckpointStore(dir.path(), 2).newest(*alone(), notes); }, message), Failure::Input);
    EXPECT_NE(message.find("checkpoint.resume = none"), std::string::npos) << message;
}

TEST(Checkpoint, OfAnotherModelIsRefused) {
    const TemporaryDirectory dir;
    TinyState t;
    save_steps(dir.path(), t, {1});
    std::string message;
    EXPECT_EQ(failure_of([&] { load_checkpoint(t.ctx, *t.self, *t.state, t.table, dir.path() / "step-1.h5", "other"); }, message),
              Failure::Input);
    TinyState wider({}, 4);
    EXPECT_EQ(failure_of([&] { load_checkpoint(wider.ctx, *wider.self, *wider.state, wider.table, dir.path() / "step-1.h5", "base-hash"); },
                         message),
              Failure::Input);
    EXPECT_NE(message.find("layer.weight"), std::string::npos) << message;
    OptimizerSection sgd;
    sgd.name = OptimizerName::Sgd;
    TinyState plain(sgd);
    CheckpointStore(dir.path(), 9).save(plain.ctx, *plain.self, *plain.state, plain.table, header(2));
    EXPECT_EQ(failure_of([&] { load_checkpoint(t.ctx, *t.self, *t.state, t.table, dir.path() / "step-2.h5", "base-hash"); }, message),
              Failure::Input);
    EXPECT_NE(message.find("exp_avg"), std::string::npos) << message;
    EXPECT_NE(message.find("set optimizer.name = sgd"), std::string::npos) << message;
}

OptimizerSection with(OptimizerName name) {
    OptimizerSection settings;
    settings.name = name;
    return settings;
}

/// Moments are not made into those of another kind; the two 8-bit optimizers have the same.
TEST(Checkpoint, OfAnotherOptimizerIsRefusedWithWhatItIsOf) {
    const TemporaryDirectory dir;
    constexpr std::int64_t kWide = 1500;  // 4 x 1500 elements: in eight bits
    const auto saved = [&](OptimizerName name, std::int64_t step) {
        TinyState t(with(name), kWide);
        CheckpointStore(dir.path(), 9).save(t.ctx, *t.self, *t.state, t.table, header(step));
        return dir.path() / fmt::format("step-{}.h5", step);
    };
    const auto load = [&](OptimizerName name, const std::filesystem::path& file) {
        TinyState t(with(name), kWide);
        (void)load_checkpoint(t.ctx, *t.self, *t.state, t.table, file, "base-hash");
    };
    using enum OptimizerName;
    const auto wide = saved(AdamW, 1), narrow = saved(AdamW8bit, 2), paged = saved(PagedAdamW8bit, 3);
    EXPECT_NO_THROW(load(PagedAdamW8bit, narrow));
    EXPECT_NO_THROW(load(AdamW8bit, paged));
    std::string message;
    EXPECT_EQ(failure_of([&] { load(PagedAdamW8bit, wide); }, message), Failure::Input);
    EXPECT_NE(message.find("exp_avg_8bit/layer.weight"), std::string::npos) << message;
    EXPECT_NE(message.find("is of a run with optimizer.name = adamw, and this one has paged_adamw_8bit; set optimizer.name = adamw"),
              std::string::npos)
        << message;
    EXPECT_EQ(failure_of([&] { load(AdamW, paged); }, message), Failure::Input);
    EXPECT_NE(message.find("optimizer.name = adamw_8bit or paged_adamw_8bit, and this one has adamw; set optimizer.name = adamw_8bit"),
              std::string::npos)
        << message;
}

TEST(Checkpoint, AnotherFileIsNotACheckpoint) {
    const TemporaryDirectory dir;
    std::ofstream(dir.path() / "step-1.h5") << "not HDF5 at all";
    std::string message;
    EXPECT_EQ(failure_of([&] { verify_checkpoint(dir.path() / "step-1.h5", *alone()); }, message), Failure::Input);
    EXPECT_NE(message.find("step-1.h5"), std::string::npos);
}

TEST(Checkpoint, FingerprintsTellModelsApart) {
    const TemporaryDirectory dir;
    std::ofstream(dir.path() / "config.json") << "{}";
    std::ofstream(dir.path() / "model.safetensors") << "weights";
    const auto before = fingerprint_model(dir.path());
    EXPECT_EQ(before, fingerprint_model(dir.path()));
    std::ofstream(dir.path() / "model.safetensors") << "weighty";
    EXPECT_NE(before, fingerprint_model(dir.path()));
}

}  // namespace
}  // namespace tandem::test
