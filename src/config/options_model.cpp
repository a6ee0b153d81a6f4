// [model] [method] [lora] [quantization]
#include <bit>

#include "kernels/quant/four_bit.h"
#include "src/config/option_builder.h"

namespace tandem {

void add_model_options(std::vector<Option>& table) {
    SectionRows<ModelSection> model("model", &RunConfig::model, table);
    model.text("path", &ModelSection::path, "a path", "Hugging Face model directory, also in bitsandbytes' four bits, or a GGUF file");
    model.choice("init", &ModelSection::init, Words<ModelInit>{{"pretrained", ModelInit::Pretrained}, {"random", ModelInit::Random}},
                 "random: model.path may hold only config.json; weights come from training.seed and each tensor's name");
    model.choice("dtype", &ModelSection::dtype,
                 Words<DType>{{"bf16", DType::BF16}, {"fp32", DType::F32}, {"fp64", DType::F64}, {"fp16", DType::F16}},
                 "type of the matrix products and of the frozen weights; fp64 needs device.backend = ref; fp16 is for eval and generate");

    SectionRows<MethodSection> method("method", &RunConfig::method, table);
    method.choice("type", &MethodSection::type, Words<Method>{{"lora", Method::Lora}, {"full", Method::Full}, {"qlora", Method::QLora}},
                  "what is trained: low-rank adapters, every weight, or adapters over a 4-bit base");

    SectionRows<LoraSection> lora("lora", &RunConfig::lora, table);
    lora.integer("r", &LoraSection::r, {1, 65536}, "rank of the adapter's two factors");
    lora.real("alpha", &LoraSection::alpha, above(0), "the adapter's output is scaled by alpha / r (alpha / sqrt(r) with lora.rslora)");
    lora.real("dropout", &LoraSection::dropout, {0, 1, Range::Upper::Exclusive}, "dropout on the adapter's input");
    lora.list("target_modules", &LoraSection::target_modules, "all-linear, or module names as PEFT has them, comma-separated", "",
              "which linear layers get an adapter: all-linear, or for example q_proj,v_proj");
    lora.flag("rslora", &LoraSection::rslora, "rank-stabilised scaling (Kalajdzievski 2023)");
    lora.text("adapter", &LoraSection::adapter, "a path", "none", "start from this PEFT adapter directory instead of a fresh adapter");

    SectionRows<QuantizationSection> quantization("quantization", &RunConfig::quantization, table);
    quantization.choice("type", &QuantizationSection::type, Words<FourBit>{{"nf4", FourBit::NF4}, {"fp4", FourBit::FP4}},
                        "4-bit type of the frozen weights (method.type = qlora)");
    quantization.flag("double_quant", &QuantizationSection::double_quant, "quantise the blocks' scales as well");
    const std::string sizes = fmt::format("a power of two, {} to {}", kLeastBlock, kLargestBlock);
    quantization.row(
        "block_size", &QuantizationSection::block_size, sizes, "", "weights that share one scale",
        [sizes](std::string_view text) {
            const std::int64_t n = parse_integer(text, at_least(1));
            if (n < kLeastBlock || n > kLargestBlock || !std::has_single_bit(static_cast<std::uint64_t>(n))) throw BadValue(sizes);
            return n;
        },
        [](std::int64_t n) { return nlohmann::ordered_json(n); });
    quantization.list("skip_modules", &QuantizationSection::skip_modules, "module names, comma-separated", "none",
                      "linear layers that stay in model.dtype besides the head, which always does");
}

}  // namespace tandem
