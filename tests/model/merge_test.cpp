// Merging: every element against the equation, bases in four bits, and what is refused.
#include "src/model/merge.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

#include "src/io/convert.h"
#include "src/io/json.h"
#include "src/io/safetensors.h"
#include "src/io/safetensors_writer.h"
#include "src/model/lora.h"
#include "src/model/parameters.h"
#include "src/model/weights.h"
#include "tests/io/temp_dir.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;
const fs::path kGolden = TANDEM_SOURCE_DIR "/tests/golden/quantized";

using Factors = std::map<std::string, std::pair<Shape, std::vector<float>>>;  ///< by the names of the file

LoraConfig tiny_lora() { return {.r = 3, .alpha = 4.5, .target_modules = {"q_proj", "down_proj"}}; }

Factors random_factors(const LoraConfig& lora) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal(0.0F, 0.3F);
    Factors factors;
    for (const Parameter& p : list_parameters(load_model_config(kGolden / "base"), Trained::Nothing, &lora)) {
        if (!is_adapter_tensor(p.name)) continue;
        auto& [shape, values] = factors[p.name];
        shape = p.global;
        values.resize(static_cast<std::size_t>(p.global.elements()));
        for (float& x : values) x = normal(random);
    }
    return factors;
}

void write_adapter(const fs::path& directory, const LoraConfig& lora, const Factors& factors) {
    fs::create_directories(directory);
    write_json_file(directory / "adapter_config.json", adapter_config_json(lora, lora.target_modules, "base"));
    std::vector<TensorSpec> specs;
    for (const auto& [name, factor] : factors) specs.push_back({name, DType::F32, factor.first});
    SafetensorsWriter writer(directory / "adapter_model.safetensors", specs);
    for (const auto& [name, factor] : factors) writer.write(name, std::as_bytes(std::span(factor.second)));
    writer.commit();
}

/// W + scale (B A) of one matrix, summed in order.
std::vector<float> merged(std::vector<float> w, const LoraConfig& lora, const Factors& factors, const std::string& module) {
    const auto& a = factors.at(adapter_tensor_name(module, 'A')).second;
    const auto& b = factors.at(adapter_tensor_name(module, 'B')).second;
    const auto r = static_cast<std::size_t>(lora.r), columns = a.size() / r;
    for (std::size_t i = 0; i < w.size(); ++i) {
        float product = 0;
        for (std::size_t k = 0; k < r; ++k) product += b[i / columns * r + k] * a[k * columns + i % columns];
        w[i] += product * static_cast<float>(lora.scale());
    }
    return w;
}

std::vector<float> values_of(const fs::path& directory, const Parameter& p) {
    std::vector<float> values(static_cast<std::size_t>(p.global.elements()));
    FileSource(directory).read(p, whole_box(p.global), DType::F32, reinterpret_cast<std::byte*>(values.data()));
    return values;
}

std::vector<std::byte> bytes_of(const SafetensorsModel& model, const std::string& name) {
    std::vector<std::byte> bytes(model.at(name).bytes);
    model.read(name, 0, bytes);
    return bytes;
}

/// Every tensor of `out` against the equation over `base`, in `dtype`.
void expect_merged(const fs::path& out, const fs::path& base, const LoraConfig& lora, const Factors& factors, DType dtype) {
    const SafetensorsModel written(out);
    std::size_t tensors = 0;
    for (const Parameter& p : list_parameters(load_model_config(out), Trained::Nothing, nullptr)) {
        const std::string module = p.name.substr(0, p.name.rfind('.'));
        auto values = values_of(base, p);
        if (factors.contains(adapter_tensor_name(module, 'A'))) values = merged(values, lora, factors, module);
        std::vector<std::byte> expected(values.size() * size_of(dtype));
        convert_elements(DType::F32, values.data(), dtype, expected.data(), values.size());
        EXPECT_EQ(written.at(p.name).dtype, dtype) << p.name;
        EXPECT_EQ(bytes_of(written, p.name), expected) << p.name;
        ++tensors;
    }
    EXPECT_EQ(tensors, written.tensors().size());
}

/// The model in `from` again in `to`: its tensors that begin with `copied` under `renamed` as well, and `extra` in fp32 beside them.
void write_with_extras(const fs::path& from, const fs::path& to, const std::string& copied, const std::string& renamed,
                       const std::vector<std::pair<TensorSpec, std::vector<float>>>& extra) {
    fs::create_directories(to);
    fs::copy_file(from / "config.json", to / "config.json");
    const SafetensorsModel model(from);
    std::vector<TensorSpec> specs;
    std::map<std::string, std::string> source;  // of each tensor that is written
    for (const auto& [name, entry] : model.tensors()) {
        source[name] = name;
        if (!copied.empty() && name.starts_with(copied)) source[renamed + name.substr(copied.size())] = name;
    }
    for (const auto& [name, old] : source) specs.push_back({.name = name, .dtype = model.at(old).dtype, .shape = model.at(old).shape});
    for (const auto& [spec, values] : extra) specs.push_back(spec);
    SafetensorsWriter writer(to / "model.safetensors", specs);
    for (const auto& [name, old] : source) writer.write(name, bytes_of(model, old));
    for (const auto& [spec, values] : extra) writer.write(spec.name, std::as_bytes(std::span(values)));
    writer.commit();
}

}  // namespace

TEST(Merge, FollowsTheEquation) {
    const TempDir dir;
    const LoraConfig lora = tiny_lora();
    const Factors factors = random_factors(lora);
    write_adapter(dir / "adapter", lora, factors);
    fs::copy(kGolden / "base", dir / "base");
    put(dir / "base" / "tokenizer.json", "{}");
    MergeSettings settings;
    settings.add_files = [](const fs::path& directory) { put(directory / "merge.json", "x"); };
    const auto summary = merge_adapter(dir / "base", dir / "adapter", dir / "out", settings);
    expect_merged(dir / "out", dir / "base", lora, factors, DType::BF16);
    EXPECT_EQ(summary.modules, (std::map<std::string, std::int64_t>{{"q_proj", 1}, {"down_proj", 1}}));
    EXPECT_EQ(summary.kept, 10);
    EXPECT_EQ(summary.scale, 1.5);
    EXPECT_EQ(slurp(dir / "out" / "tokenizer.json"), "{}");
    EXPECT_EQ(slurp(dir / "out" / "merge.json"), "x");
    EXPECT_EQ(read_json_file(dir / "out" / "config.json"), read_json_file(dir / "base" / "config.json"));

    for (const DType dtype : {DType::F32, DType::F16}) {
        settings = {.dtype = dtype, .max_shard_bytes = 20000};
        const auto out = dir / std::string(name(dtype));
        EXPECT_EQ(merge_adapter(dir / "base", dir / "adapter", out, settings).converted, 10);
        expect_merged(out, dir / "base", lora, factors, dtype);
        EXPECT_TRUE(fs::exists(out / "model.safetensors.index.json"));
        EXPECT_EQ(read_json_file(out / "config.json").at("dtype"), dtype == DType::F32 ? "float32" : "float16");
    }
}

/// Models hold tensors that tandem has no use for: buffers, heads that are tied, layers of another kind.
TEST(Merge, ConvertsWhatTheModelHasNoPlaceFor) {
    const TempDir dir;
    const LoraConfig lora = tiny_lora();
    write_adapter(dir / "adapter", lora, random_factors(lora));
    constexpr float kInfinite = std::numeric_limits<float>::infinity();
    std::vector<float> large((std::size_t{1} << 20U) + 7);  // more than is converted at a time
    for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<float>(i % 2011) * 0.25F;
    const auto size = static_cast<std::int64_t>(large.size());
    const std::vector<std::pair<TensorSpec, std::vector<float>>> extra = {
        {{.name = "mask", .dtype = DType::F32, .shape = {2, 1, 2}}, {0, -kInfinite, 3, 1e6F}},
        {{.name = "large", .dtype = DType::F32, .shape = {size}}, large},
        {{.name = "one", .dtype = DType::F32, .shape = {}}, {7}}};
    write_with_extras(kGolden / "base", dir / "base", "", "", extra);
    merge_adapter(dir / "base", dir / "adapter", dir / "out", {.dtype = DType::BF16});
    const SafetensorsModel written(dir / "out");
    for (const auto& [spec, values] : extra) {
        std::vector<std::byte> expected(values.size() * 2);
        convert_elements(DType::F32, values.data(), DType::BF16, expected.data(), values.size());
        EXPECT_EQ(written.at(spec.name).shape, spec.shape);
        EXPECT_EQ(bytes_of(written, spec.name), expected) << spec.name;
    }
    // An infinity that is there may stay; a number does not become one.
    expect_error(Failure::Input, {"'mask'", "element 3", "fp16", "--dtype"},
                 [&] { merge_adapter(dir / "base", dir / "adapter", dir / "narrow", {.dtype = DType::F16}); });
    EXPECT_FALSE(fs::exists(dir / "narrow"));

    // A matrix in blocks that belongs to no layer of the model becomes dense as well.
    const std::string layer = "model.layers.0.mlp.up_proj", other = "model.layers.7.mlp.up_proj";
    write_with_extras(kGolden / "nf4_nested", dir / "blocks", layer, other, {});
    merge_adapter(dir / "blocks", dir / "adapter", dir / "dense", {});
    const SafetensorsModel dense(dir / "dense");
    EXPECT_EQ(bytes_of(dense, other + ".weight"), bytes_of(dense, layer + ".weight"));
    EXPECT_EQ(dense.at(other + ".weight").shape, dense.at(layer + ".weight").shape);
}

/// rsLoRA divides by the root of the rank.
TEST(Merge, ScalesAsTheAdapterSays) {
    const TempDir dir;
    LoraConfig lora = tiny_lora();
    lora.rslora = true;
    lora.target_modules = {"v_proj"};
    const Factors factors = random_factors(lora);
    write_adapter(dir / "adapter", lora, factors);
    merge_adapter(kGolden / "base", dir / "adapter", dir / "out", {});
    expect_merged(dir / "out", kGolden / "base", lora, factors, DType::BF16);
}

TEST(Merge, ABaseInFourBitsBecomesDense) {
    const TempDir dir;
    const LoraConfig lora = tiny_lora();
    const Factors factors = random_factors(lora);
    write_adapter(dir / "adapter", lora, factors);
    const auto summary = merge_adapter(kGolden / "nf4_nested", dir / "adapter", dir / "stored", {});
    expect_merged(dir / "stored", kGolden / "nf4_nested", lora, factors, DType::BF16);
    EXPECT_EQ(summary.merged, 2);
    EXPECT_EQ(summary.dequantized, 5);
    EXPECT_FALSE(load_model_config(dir / "stored").quantization);

    // Passed through the same blocks on the way, the dense base is that base.
    MergeSettings settings;
    settings.rounded = QuantizationSpec{};
    EXPECT_EQ(merge_adapter(kGolden / "base", dir / "adapter", dir / "rounded", settings).dequantized, 5);
    const SafetensorsModel a(dir / "stored"), b(dir / "rounded");
    ASSERT_EQ(a.tensors().size(), b.tensors().size());
    for (const auto& [name, entry] : a.tensors()) EXPECT_EQ(bytes_of(a, name), bytes_of(b, name)) << name;
    // What is in blocks already is not rounded again.
    settings.rounded->type = FourBit::FP4;
    merge_adapter(kGolden / "nf4_nested", dir / "adapter", dir / "once", settings);
    expect_merged(dir / "once", kGolden / "nf4_nested", lora, factors, DType::BF16);
}

TEST(Merge, RefusesWhatDoesNotBelongTogether) {
    const TempDir dir;
    const LoraConfig lora = tiny_lora();
    const std::string q = "base_model.model.model.layers.0.self_attn.q_proj.lora_";
    const auto refused = [&](const std::vector<std::string>& parts, const std::function<void(Factors&)>& change,
                             const MergeSettings& settings = {}) {
        Factors factors = random_factors(lora);
        change(factors);
        write_adapter(dir / "adapter", lora, factors);
        expect_error(Failure::Input, parts, [&] { merge_adapter(kGolden / "base", dir / "adapter", dir / "out", settings); });
        EXPECT_EQ(dir.entries(), 1U);
    };
    refused({"adapter_model.safetensors", "q_proj.lora_A.weight", "[3, 39]"}, [&](Factors& f) {
        f.at(q + "A.weight").first = {3, 39};
        f.at(q + "A.weight").second.resize(3 * 39);
    });
    refused({"q_proj.lora_B.weight"}, [&](Factors& f) { f.erase(q + "B.weight"); });
    refused({"x.lora_A.weight", "adapts nothing"}, [&](Factors& f) { f["base_model.model.x.lora_A.weight"] = f.at(q + "A.weight"); });
    refused({"q_proj.lora_B.weight", "non-finite"},
            [&](Factors& f) { f.at(q + "B.weight").second[5] = std::numeric_limits<float>::quiet_NaN(); });
    refused({"q_proj.weight", "fp16"}, [&](Factors& f) { f.at(q + "B.weight").second[5] = 1e7F; }, {.dtype = DType::F16});
    write_adapter(dir / "adapter", lora, random_factors(lora));
    expect_error(Failure::Configuration, {"not empty"}, [&] { merge_adapter(kGolden / "base", dir / "adapter", dir / "adapter", {}); });
}

}  // namespace tandem
