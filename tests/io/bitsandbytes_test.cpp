// Files that transformers and bitsandbytes wrote (tests/golden/make_quantized.py), read, written again, and damaged.
#include "src/io/bitsandbytes.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

#include "kernels/quant/four_bit.h"
#include "src/io/bitsandbytes_model.h"
#include "src/io/json.h"
#include "tests/io/temp_dir.h"
#include "tests/support/crc32.h"

using namespace std::string_literals;

namespace tandem {
namespace {

const std::filesystem::path kGolden = TANDEM_SOURCE_DIR "/tests/golden/quantized";
const std::string kUp = "model.layers.0.mlp.up_proj.weight";

/// All tensors of a file, to be changed and written again.
struct StoredTensor {
    TensorSpec spec;
    std::vector<std::byte> bytes;
};
using StoredTensors = std::map<std::string, StoredTensor>;

StoredTensors load(const std::filesystem::path& directory) {
    const SafetensorsModel model(directory);
    StoredTensors tensors;
    for (const auto& [name, entry] : model.tensors()) {
        StoredTensor& t = tensors[name];
        t.spec = {.name = name, .dtype = entry.dtype, .shape = entry.shape, .type = entry.type};
        t.bytes.resize(entry.bytes);
        model.read(name, 0, t.bytes);
    }
    return tensors;
}

void save(const StoredTensors& tensors, const std::filesystem::path& directory) {
    std::vector<TensorSpec> specs;
    for (const auto& [name, t] : tensors) specs.push_back(t.spec);
    SafetensorsModelWriter writer(directory, specs);
    for (const auto& [name, t] : tensors) writer.write(name, t.bytes);
    writer.commit();
}

std::string text_of(const StoredTensor& t) { return {reinterpret_cast<const char*>(t.bytes.data()), t.bytes.size()}; }

void set_bytes(StoredTensor& t, std::span<const std::byte> bytes) {
    t.bytes.assign(bytes.begin(), bytes.end());
    t.spec.shape = {static_cast<std::int64_t>(bytes.size() / size_of(t.spec.dtype))};
}

std::vector<float> all_values(const FourBitTensors& tensors, const std::string& name) {
    const Shape& shape = tensors.find(name)->shape;
    std::vector<float> values(static_cast<std::size_t>(shape.elements()));
    tensors.read_box(name, 0, shape[0], 0, shape[1], values.data());
    return values;
}

}  // namespace

TEST(FourBitTensors, HaveTheValuesThatBitsandbytesGives) {
    int matrices = 0;
    const Json variants = read_json_file(kGolden / "expected.json").at("variants");
    for (const auto& [variant, expected] : variants.items()) {
        const SafetensorsModel model(kGolden / variant);
        const FourBitTensors tensors(model);
        EXPECT_EQ(tensors.matrices().size(), expected.at("crc32").size()) << variant;
        for (const auto& [name, crc] : expected.at("crc32").items()) {
            ASSERT_NE(tensors.find(name), nullptr) << variant << " " << name;
            const auto values = all_values(tensors, name);
            EXPECT_EQ(test::crc32(std::as_bytes(std::span(values))), crc.get<std::uint32_t>()) << variant << " " << name;
            ++matrices;
        }
    }
    EXPECT_EQ(matrices, 34);
}

TEST(FourBitTensors, AnyBoxIsASliceOfTheWhole) {
    const SafetensorsModel model(kGolden / "nf4_nested");
    const FourBitTensors tensors(model);
    std::mt19937 random(5);
    for (const auto& [name, layout] : tensors.matrices()) {
        const auto whole = all_values(tensors, name);
        for (int i = 0; i < 50; ++i) {
            const auto pick = [&](std::int64_t n) { return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n + 1)); };
            const auto [top, bottom] = std::minmax({pick(layout.shape[0]), pick(layout.shape[0])});
            const auto [left, right] = std::minmax({pick(layout.shape[1]), pick(layout.shape[1])});
            std::vector<float> box(static_cast<std::size_t>((bottom - top) * (right - left)));
            tensors.read_box(name, top, bottom, left, right, box.data());
            auto value = box.begin();
            for (auto row = top; row < bottom; ++row)
                for (auto column = left; column < right; ++column)
                    ASSERT_EQ(*value++, whole[static_cast<std::size_t>(row * layout.shape[1] + column)]) << name << row << " " << column;
        }
    }
}

TEST(QuantState, TextIsThatOfPython) {
    int texts = 0;
    for (const auto& entry : std::filesystem::directory_iterator(kGolden)) {
        if (!entry.is_directory()) continue;
        for (const auto& [name, tensor] : load(entry.path())) {
            if (name.find(four_bit_suffix::kState) == std::string::npos) continue;
            const FourBit type = name.ends_with("nf4") ? FourBit::NF4 : FourBit::FP4;
            const QuantState state = parse_quant_state(text_of(tensor), type, name);
            EXPECT_EQ(quant_state_text(state.layout, state.offset), text_of(tensor));
            ++texts;
        }
    }
    EXPECT_EQ(texts, 34);
    const FourBitLayout layout{.shape = {2, 3}};
    for (const auto& [offset, text] : std::map<float, std::string>{{0.0F, "0.0"}, {1e-5F, "9.999999747378752e-06"}, {2.0F, "2.0"}})
        EXPECT_TRUE(quant_state_text(layout, offset).ends_with("\"nested_offset\": " + text + "}")) << quant_state_text(layout, offset);
}

/// What the specs declare is what the library wrote; the state, whose length comes last, may be shorter than declared.
TEST(FourBitSpecs, AreTheTensorsOfAFile) {
    const TempDir dir;
    const StoredTensors golden = load(kGolden / "nf4_nested");
    const SafetensorsModel model(kGolden / "nf4_nested");
    const FourBitTensors tensors(model);
    std::vector<TensorSpec> specs;
    for (const auto& [name, layout] : tensors.matrices()) {
        for (auto& spec : four_bit_specs(name, layout)) specs.push_back(spec);
    }
    SafetensorsWriter writer(dir / "model.safetensors", specs);
    for (const auto& spec : specs) {
        ASSERT_TRUE(golden.contains(spec.name)) << spec.name;
        const auto& bytes = golden.at(spec.name).bytes;
        if (spec.open) writer.close(spec.name, bytes);
        else writer.write(spec.name, bytes);
    }
    writer.commit();
    EXPECT_EQ(writer.bytes(), std::filesystem::file_size(dir / "model.safetensors"));
    const StoredTensors again = load(dir.path());
    ASSERT_EQ(again.size(), 7U * 6U);
    for (const auto& [name, t] : again) {
        EXPECT_EQ(t.bytes, golden.at(name).bytes) << name;
        EXPECT_EQ(t.spec.shape, golden.at(name).spec.shape) << name;
        EXPECT_EQ(t.spec.type, golden.at(name).spec.type) << name;
    }
}

/// Element types that tandem has no name for are copied as they are.
TEST(SafetensorsWriter, KeepsForeignTypes) {
    const TempDir in, out;
    const std::string header =
        R"({"b":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]},"e":{"dtype":"F8_E4M3","shape":[1,2],"data_offsets":[2,4]}})";
    const std::uint64_t length = header.size();
    put(in / "model.safetensors", std::string(reinterpret_cast<const char*>(&length), 8) + header + "\1\0ab"s);
    const StoredTensors tensors = load(in.path());
    save(tensors, out.path());
    for (const auto& [name, t] : load(out.path())) {
        EXPECT_EQ(t.bytes, tensors.at(name).bytes);
        EXPECT_EQ(t.spec.type, name == "b" ? "BOOL" : "F8_E4M3");
        EXPECT_EQ(t.spec.shape, tensors.at(name).spec.shape);
    }
}

namespace {

struct Damage {
    const char* what;
    std::vector<std::string> parts;  ///< of the message
    void (*change)(StoredTensors&);
};

void replace_state(StoredTensors& tensors, const std::string& from, const std::string& to) {
    StoredTensor& state = tensors.at(kUp + ".quant_state.bitsandbytes__nf4");
    auto text = text_of(state);
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << text;
    text.replace(at, from.size(), to);
    set_bytes(state, std::as_bytes(std::span(text)));
}

void set_float(StoredTensor& t, std::size_t index, float value) { std::memcpy(t.bytes.data() + index * 4, &value, 4); }

const Damage kDamages[] = {
    {"not JSON", {"quant_state", "JSON"}, [](StoredTensors& t) { replace_state(t, "{", "["); }},
    {"type", {"quant_type", "\"fp4\""}, [](StoredTensors& t) { replace_state(t, "nf4", "fp4"); }},
    {"block size", {"blocksize", "48", "power of two"}, [](StoredTensors& t) { replace_state(t, ": 64", ": 48"); }},
    {"other block size", {".absmax", "[263]", "[525]"}, [](StoredTensors& t) { replace_state(t, ": 64", ": 32"); }},
    {"dtype", {"dtype", "float64"}, [](StoredTensors& t) { replace_state(t, "bfloat16", "float64"); }},
    {"shape", {"up_proj.weight'", "8400", "[419, 40]"}, [](StoredTensors& t) { replace_state(t, "[420", "[419"); }},
    {"no matrix", {"shape", "[420]"}, [](StoredTensors& t) { replace_state(t, "[420, 40]", "[420]"); }},
    {"huge", {"shape"}, [](StoredTensors& t) { replace_state(t, "[420, 40]", "[4294967296, 4294967296]"); }},
    {"nested block size", {"nested_blocksize", "128"}, [](StoredTensors& t) { replace_state(t, "256", "128"); }},
    {"nested type", {"nested_dtype", "float16"}, [](StoredTensors& t) { replace_state(t, "float32", "float16"); }},
    {"offset", {"nested_offset", "not finite"}, [](StoredTensors& t) { replace_state(t, "0.16230617463588715", "1e39"); }},
    {"no offset", {"nested_offset", "missing"}, [](StoredTensors& t) { replace_state(t, "nested_offset", "nested_onset"); }},
    {"two states",
     {"two quant states"},
     [](StoredTensors& t) {
         auto& copy = t[kUp + ".quant_state.bitsandbytes__fp4"] = t.at(kUp + ".quant_state.bitsandbytes__nf4");
         copy.spec.name = kUp + ".quant_state.bitsandbytes__fp4";
         auto text = text_of(copy);
         text.replace(text.find("nf4"), 3, "fp4");
         set_bytes(copy, std::as_bytes(std::span(text)));
     }},
    {"no codes", {kUp, "missing"}, [](StoredTensors& t) { t.erase(kUp); }},
    {"no scales", {kUp + ".absmax", "missing"}, [](StoredTensors& t) { t.erase(kUp + ".absmax"); }},
    {"no map", {kUp + ".quant_map", "missing"}, [](StoredTensors& t) { t.erase(kUp + ".quant_map"); }},
    {"no nested", {kUp + ".nested_absmax", "missing"}, [](StoredTensors& t) { t.erase(kUp + ".nested_absmax"); }},
    {"no state", {kUp + ".absmax", "has no"}, [](StoredTensors& t) { t.erase(kUp + ".quant_state.bitsandbytes__nf4"); }},
    {"codes of another type",
     {kUp, "I64"},
     [](StoredTensors& t) {
         t.at(kUp).spec = {kUp, DType::I64, {1050, 1}};
     }},
    {"scales of another type",
     {kUp + ".absmax", "expected uint8 [263]"},
     [](StoredTensors& t) {
         t.at(kUp + ".absmax").spec = {kUp + ".absmax", DType::F32, {263}};
         t.at(kUp + ".absmax").bytes.resize(263 * 4);
     }},
    {"another map", {kUp + ".quant_map", "index 3"}, [](StoredTensors& t) { set_float(t.at(kUp + ".quant_map"), 3, 0.5F); }},
    {"another nested map",
     {kUp + ".nested_quant_map", "index 255"},
     [](StoredTensors& t) { set_float(t.at(kUp + ".nested_quant_map"), 255, 2); }},
    {"infinite scale",
     {kUp + ".nested_absmax", "non-finite", "index 1"},
     [](StoredTensors& t) { set_float(t.at(kUp + ".nested_absmax"), 1, std::numeric_limits<float>::infinity()); }},
    {"eight bits",
     {"SCB", "eight bits", "LLM.int8"},
     [](StoredTensors& t) {
         t["x.SCB"] = {{"x.SCB", DType::F32, {1}}, std::vector<std::byte>(4)};
     }},
};

}  // namespace

TEST(FourBitTensors, RefusesWhatIsDamaged) {
    for (const auto& damage : kDamages) {
        SCOPED_TRACE(damage.what);
        const TempDir dir;
        auto tensors = load(kGolden / "nf4_nested");
        damage.change(tensors);
        save(tensors, dir.path());
        expect_error(Failure::Input, damage.parts, [&] {
            const SafetensorsModel model(dir.path());
            const FourBitTensors four_bit(model);
            (void)all_values(four_bit, kUp);
        });
    }
}

/// Signed bytes, as a quant_storage may be.
TEST(FourBitTensors, ReadsCodesUnderOtherTypes) {
    for (const auto& [type, shape] : std::map<std::string, Shape>{{"I8", {8400, 1}}, {"F64", {1050, 1}}, {"F16", {1, 4200}}}) {
        const TempDir dir;
        auto tensors = load(kGolden / "nf4_nested");
        tensors.at(kUp).spec.type = type;
        tensors.at(kUp).spec.shape = shape;
        save(tensors, dir.path());
        const SafetensorsModel model(dir.path()), original(kGolden / "nf4_nested");
        EXPECT_EQ(all_values(FourBitTensors(model), kUp), all_values(FourBitTensors(original), kUp)) << type;
    }
}

}  // namespace tandem
