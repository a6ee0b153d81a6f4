// A rank's part of the weights: the same values as in the whole, and little more read than that.
#include "src/model/weights.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>

#include "kernels/base/backend.h"
#include "parallel/whereabouts.h"
#include "src/io/safetensors.h"
#include "src/io/safetensors_writer.h"
#include "src/model/parameters.h"
#include "tests/io/temp_dir.h"
#include "tests/model/split_cases.h"

namespace tandem::test {
namespace {

const std::filesystem::path kModels = TANDEM_SOURCE_DIR "/tests/golden/models";

/// Storage on the ref backend in fp64, poisoned, then filled.
struct Filled {
    std::unique_ptr<Backend> backend = make_ref_backend();
    std::unique_ptr<Stream> stream = backend->make_stream();
    DeviceMemory memory{*backend, std::size_t{1} << 30U};
    ParamTable table;

    Filled(ParamTable listed, const WeightSource& base, const WeightSource& adapter) : table(std::move(listed)) {
        for (Parameter& p : table) {
            p.weight = memory[MemoryKind::Weights].allocate(p.name, DType::F64, p.storage);
            std::fill_n(p.weight.data<double>(), p.weight.elements(), std::numeric_limits<double>::quiet_NaN());
        }
        Context ctx{*backend, *stream, memory[MemoryKind::Workspace]};
        fill_weights(ctx, table, base, adapter);
    }
};

/// Every parameter against the slice of `whole`, and zeros beyond its box.
void expect_slices(const ParamTable& table, const std::map<std::string, std::vector<double>>& whole) {
    for (const Parameter& p : table) {
        const bool matrix = p.global.dims() == 2;
        const std::int64_t columns = matrix ? p.global[1] : 1, width = matrix ? p.storage[1] : 1, start = matrix ? p.box.offset[1] : 0;
        const auto& all = whole.at(p.name);
        ASSERT_EQ(static_cast<std::int64_t>(all.size()), p.global.elements()) << p.name;
        for (std::int64_t i = 0; i < p.weight.elements(); ++i) {
            const std::int64_t row = i / width;
            const auto at = (p.box.offset[0] + row) * columns + start + i % width;
            const double expected = row < p.box.shape[0] ? all[static_cast<std::size_t>(at)] : 0.0;
            ASSERT_EQ(p.weight.data<double>()[i], expected) << p.name << " " << i;
        }
    }
}

std::map<std::string, std::vector<double>> values_of(const std::filesystem::path& directory) {
    std::map<std::string, std::vector<double>> all;
    const SafetensorsModel model(directory);
    for (const auto& [name, entry] : model.tensors()) {
        auto& values = all[name];
        values.resize(static_cast<std::size_t>(entry.shape.elements()));
        model.read_rows(name, 0, entry.shape[0], DType::F64, values.data());
    }
    return all;
}

Parameter parameter(const std::string& name, const Shape& shape) {
    Parameter p;
    p.name = name;
    p.global = p.storage = shape;
    p.box = whole_box(shape);
    return p;
}

/// A model directory with one fp32 matrix "w", element i = i.
struct OneMatrix {
    TempDir dir;
    Parameter p;
    OneMatrix(std::int64_t rows, std::int64_t columns, std::int64_t bad = -1) : p(parameter("w", {rows, columns})) {
        std::vector<float> values(static_cast<std::size_t>(rows * columns));
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
        if (bad >= 0) values[static_cast<std::size_t>(bad)] = std::numeric_limits<float>::infinity();
        SafetensorsWriter writer(dir / "model.safetensors", {{"w", DType::F32, p.global}});
        writer.write("w", std::as_bytes(std::span(values)));
        writer.commit();
    }
};

}  // namespace

TEST(FileSource, EveryTensorIsProgressOfALoad) {
    const std::filesystem::path model = kModels / "llama_gqa";
    const FileSource base(model), adapter(model / "adapter");
    Whereabouts& here = Whereabouts::here();
    here.enter(Phase::Loading, 0);
    const Filled filled(list_parameters(load_model_config(model), Trained::Nothing, nullptr, {}), base, adapter);
    EXPECT_GT(here.look().since, 0);
}

TEST(FileSource, EverySliceOfAGoldenModelIsThatOfTheWhole) {
    int splits = 0;
    for (const auto& entry : std::filesystem::directory_iterator(kModels)) {
        const ModelConfig model = load_model_config(entry.path());
        const LoraConfig lora = load_adapter_config(entry.path() / "adapter");
        const FileSource base(entry.path()), adapter(entry.path() / "adapter");
        auto whole = values_of(entry.path());
        whole.merge(values_of(entry.path() / "adapter"));
        for (const SplitCase& split : split_cases(model)) {
            for (const Placement& placement : split.placements()) {
                SCOPED_TRACE(entry.path().filename().string() + ", " + split.name);
                const Filled filled(list_parameters(model, Trained::Adapter, &lora, placement), base, adapter);
                expect_slices(filled.table, whole);
                ++splits;
                if (HasFatalFailure()) return;
            }
        }
    }
    EXPECT_GT(splits, 60);
}

TEST(RandomSource, EverySliceIsThatOfTheWhole) {
    ModelConfig model = load_model_config(kModels / "llama2_mha");
    model.vocabulary = 131;
    LoraConfig lora;
    lora.r = 5;
    const RandomSource source(model, 9);
    const Filled full(list_parameters(model, Trained::Adapter, &lora), source, source);
    std::map<std::string, std::vector<double>> whole;
    for (const Parameter& p : full.table) whole[p.name].assign(p.weight.data<double>(), p.weight.data<double>() + p.weight.elements());
    for (const SplitCase& split : split_cases(model)) {
        for (const Placement& placement : split.placements()) {
            SCOPED_TRACE(split.name);
            const Filled filled(list_parameters(model, Trained::Adapter, &lora, placement), source, source);
            expect_slices(filled.table, whole);
        }
    }
}

TEST(FileSource, ReadsTheBytesOfItsBoxAlone) {
    const OneMatrix file(64, 8192);
    const FileSource source(file.dir / ".");
    const std::uint64_t header = source.bytes_read();
    std::vector<float> part(64 * 2048);
    source.read(file.p, {{0, 4096}, {64, 2048}}, DType::F32, reinterpret_cast<std::byte*>(part.data()));
    EXPECT_EQ(source.bytes_read() - header, part.size() * sizeof(float));
    for (std::size_t i = 0; i < part.size(); ++i) ASSERT_EQ(part[i], static_cast<float>(i / 2048 * 8192 + 4096 + i % 2048));

    // Converted on the way, from rows in the middle.
    std::vector<double> wide(3 * 4096);
    source.read(file.p, {{7, 0}, {3, 4096}}, DType::F64, reinterpret_cast<std::byte*>(wide.data()));
    EXPECT_EQ(source.bytes_read() - header, (part.size() + wide.size()) * sizeof(float));
    for (std::size_t i = 0; i < wide.size(); ++i) ASSERT_EQ(wide[i], static_cast<double>((7 + i / 4096) * 8192 + i % 4096));
}

TEST(FileSource, ReadsRowsAsAWholeWhereSkippingSavesNothing) {
    const OneMatrix file(100, 96);
    const FileSource source(file.dir / ".");
    const std::uint64_t header = source.bytes_read();
    std::vector<float> part(50 * 48);
    source.read(file.p, {{25, 48}, {50, 48}}, DType::F32, reinterpret_cast<std::byte*>(part.data()));
    EXPECT_EQ(source.bytes_read() - header, 50U * 96U * sizeof(float));
    for (std::size_t i = 0; i < part.size(); ++i) ASSERT_EQ(part[i], static_cast<float>((25 + i / 48) * 96 + 48 + i % 48));
}

TEST(FileSource, ANonFiniteElementIsNamedByItsPlaceInTheWhole) {
    for (const std::int64_t columns : {96, 8192}) {
        const std::int64_t bad = 5 * columns + 70;
        const OneMatrix file(8, columns, bad);
        const FileSource source(file.dir / ".");
        std::vector<float> part(static_cast<std::size_t>(6 * columns));
        auto* out = reinterpret_cast<std::byte*>(part.data());
        try {
            source.read(file.p, {{2, 48}, {6, 48}}, DType::F32, out);
            ADD_FAILURE() << "nothing was thrown";
        } catch (const Error& error) {
            EXPECT_EQ(error.failure(), Failure::Input);
            EXPECT_NE(std::string(error.what()).find(fmt::format("tensor 'w' has a non-finite element at index {}", bad)),
                      std::string::npos)
                << error.what();
        }
        EXPECT_NO_THROW(source.read(file.p, {{2, 0}, {6, 48}}, DType::F32, out)) << "it lies in another rank's columns";
    }
}

/// A rank with a part of the model compares the files with the whole of it.
TEST(FileSource, OtherStagesTensorsAreNotUnused) {
    const ModelConfig model = load_model_config(kModels / "llama_tied");
    const FileSource source(kModels / "llama_tied");
    const ParamTable whole = list_parameters(model, Trained::Nothing, nullptr);
    EXPECT_EQ(source.unused(whole), std::vector<std::string>());
    EXPECT_NO_THROW(source.check(whole, false));
    const ParamTable part = list_parameters(model, Trained::Nothing, nullptr, {.chunks = {{0, 2}}});
    EXPECT_NO_THROW(source.check(part, false));
}

}  // namespace tandem::test
