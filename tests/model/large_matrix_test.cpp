// Matrices that pass through the staging in several pieces: quantised, read back and merged as in one.
#include <gtest/gtest.h>

#include <random>

#include "kernels/quant/four_bit.h"
#include "src/io/bitsandbytes_model.h"
#include "src/io/json.h"
#include "src/io/safetensors_writer.h"
#include "src/model/block_quantization.h"
#include "src/model/lora.h"
#include "src/model/merge.h"
#include "src/model/parameters.h"
#include "src/model/quantize_model.h"
#include "tests/io/temp_dir.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kFfn = 212345;  ///< x 40: 8.5 M elements, and the last block of each matrix is cut short

std::vector<float> random_values(std::int64_t n, unsigned seed) {
    std::minstd_rand random(seed);
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& x : values) x = static_cast<float>(static_cast<int>(random() % 4001) - 2000) * 0.0005F;
    return values;
}

/// One layer with a wide MLP, fp32: parameter i has the values of seed i.
void write_model(const fs::path& directory) {
    fs::create_directories(directory);
    Json config = read_json_file(fs::path(TANDEM_SOURCE_DIR) / "tests/golden/quantized/base/config.json");
    config["intermediate_size"] = kFfn;
    write_json_file(directory / "config.json", config);
    const ParamTable table = list_parameters(load_model_config(directory), Trained::Nothing, nullptr);
    std::vector<TensorSpec> specs;
    for (const Parameter& p : table) specs.push_back({p.name, DType::F32, p.global});
    SafetensorsWriter writer(directory / "model.safetensors", specs);
    for (std::size_t i = 0; i < table.size(); ++i) {
        const auto values = random_values(table[i].global.elements(), static_cast<unsigned>(i));
        writer.write(table[i].name, std::as_bytes(std::span(values)));
    }
    writer.commit();
}

/// Quantised and dequantised at once.
std::vector<float> rounded(const std::vector<float>& values) {
    std::vector<std::uint8_t> codes(values.size());
    std::vector<float> absmax((values.size() + 63) / 64), out(values.size());
    quantize_blocks(FourBit::NF4, 64, values, codes, absmax);
    const auto scales = dequantize_scales(quantize_scales(absmax));
    for (std::size_t i = 0; i < values.size(); ++i) out[i] = four_bit_values(FourBit::NF4)[codes[i]] * scales[i / 64];
    return out;
}

std::vector<float> read(const WeightSource& source, const Parameter& p) {
    std::vector<float> values(static_cast<std::size_t>(p.global.elements()));
    source.read(p, whole_box(p.global), DType::F32, reinterpret_cast<std::byte*>(values.data()));
    return values;
}

}  // namespace

TEST(LargeMatrix, PassesInPieces) {
    const TempDir dir;
    write_model(dir / "base");
    const QuantizationSpec spec;
    const LoraConfig lora = {.r = 1, .alpha = 2, .target_modules = {"up_proj", "down_proj"}};
    quantize_model(dir / "base", dir / "blocks", {.spec = spec, .compute = {}});
    const FileSource base(dir / "base"), blocks(dir / "blocks");
    const QuantizingSource quantizing(base, spec);
    const SafetensorsModel files(dir / "blocks");
    const FourBitTensors tensors(files);
    const ParamTable table = list_parameters(load_model_config(dir / "base"), Trained::Nothing, nullptr, &spec);
    std::map<std::string, std::vector<float>> merged;
    for (std::size_t i = 0; i < table.size(); ++i) {
        const Parameter& p = table[i];
        auto values = random_values(p.global.elements(), static_cast<unsigned>(i));
        if (p.quantized) values = rounded(values);
        ASSERT_EQ(read(blocks, p), values) << p.name;
        ASSERT_EQ(read(quantizing, p), values) << p.name;
        if (p.quantized) {
            std::vector<float> at_once(values.size());
            tensors.read_box(p.name, 0, p.global[0], 0, p.global[1], at_once.data());
            ASSERT_EQ(at_once, values) << p.name;
        }
        merged[p.name] = std::move(values);
    }
    std::vector<TensorSpec> specs;
    std::map<std::string, std::vector<float>> factors;
    for (const Parameter& p : list_parameters(load_model_config(dir / "base"), Trained::Nothing, &lora)) {
        if (!is_adapter_tensor(p.name)) continue;
        specs.push_back({p.name, DType::F32, p.global});
        factors[p.name] = random_values(p.global.elements(), static_cast<unsigned>(100 + specs.size()));
    }
    fs::create_directory(dir / "adapter");
    write_json_file(dir / "adapter" / "adapter_config.json", adapter_config_json(lora, lora.target_modules, "base"));
    SafetensorsWriter writer(dir / "adapter" / "adapter_model.safetensors", specs);
    for (const auto& [name, values] : factors) writer.write(name, std::as_bytes(std::span(values)));
    writer.commit();
    merge_adapter(dir / "blocks", dir / "adapter", dir / "merged", {});
    const FileSource result(dir / "merged");
    for (const Parameter& p : table) {
        auto& values = merged[p.name];
        const std::string module = p.name.substr(0, p.name.rfind('.'));
        if (const auto a = factors.find(adapter_tensor_name(module, 'A')); a != factors.end()) {
            const auto& b = factors.at(adapter_tensor_name(module, 'B'));
            const auto columns = static_cast<std::size_t>(p.global[1]);
            for (std::size_t k = 0; k < values.size(); ++k) values[k] += b[k / columns] * a->second[k % columns] * 2.0F;
        }
        ASSERT_EQ(read(result, p), values) << p.name;
    }
}

}  // namespace tandem
