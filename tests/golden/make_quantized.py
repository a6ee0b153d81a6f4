#!/usr/bin/env python3
"""Makes tests/golden/quantized/: a tiny random llama, and what transformers and bitsandbytes make of it in four bits.

  base/                                          the model, bf16
  nf4_nested, nf4, fp4_nested, fp4, nf4_bf16     from_pretrained(base, quantization_config) and save_pretrained; nf4_bf16 has its codes as
                                                 bf16 (bnb_4bit_quant_storage), as FSDP wants them
  expected.json                                  CRC-32 of every dequantised matrix (fp32, little-endian) of each, and the logits after
                                                 a few tokens, in fp32

    python make_quantized.py [--out DIR]      needs requirements.txt and bitsandbytes; a few seconds
"""

import argparse
import json
import zlib
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

# 420 x 40 elements are 262.5 blocks, more than one nested group, and the last block is half a block; so it is in k_proj.
CONFIG = dict(hidden_size=40, intermediate_size=420, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, vocab_size=50,
              max_position_embeddings=64, initializer_range=0.05, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2)
VARIANTS = {
    "nf4_nested": dict(bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16),
    "nf4": dict(bnb_4bit_quant_type="nf4"),
    "fp4_nested": dict(bnb_4bit_quant_type="fp4", bnb_4bit_use_double_quant=True, llm_int8_skip_modules=["o_proj", "lm_head"]),
    "fp4": dict(bnb_4bit_quant_type="fp4"),
    "nf4_bf16": dict(bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_quant_storage=torch.bfloat16),
}
IDS = [1, 17, 43, 8, 29, 49, 0, 2]


def dequantized(weight) -> torch.Tensor:
    """In fp32, where bitsandbytes.functional.dequantize_4bit would round to the type of what was quantised."""
    state = weight.quant_state
    absmax = state.absmax
    if state.nested:
        absmax = torch.ops.bitsandbytes.dequantize_blockwise.default(absmax, state.state2.absmax, state.state2.code, 256, torch.float32)
        absmax = absmax + state.offset
    codes = weight.data.contiguous().view(torch.uint8).reshape(-1, 1)
    return torch.ops.bitsandbytes.dequantize_4bit.default(codes, absmax, state.blocksize, state.quant_type, state.shape, torch.float32)


def logits(directory: Path, matrices: dict) -> list:
    """Of the model with these matrices, all in fp32."""
    model = LlamaForCausalLM(LlamaConfig.from_pretrained(directory.parent / "base")).float().eval()
    dense = LlamaForCausalLM.from_pretrained(directory.parent / "base", dtype=torch.float32).state_dict()
    model.load_state_dict({**dense, **matrices})
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0].tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "quantized")
    out = parser.parse_args().out
    torch.manual_seed(6)
    torch.set_num_threads(1)
    model = LlamaForCausalLM(LlamaConfig(**CONFIG, dtype="bfloat16"))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("k_proj.weight"):
                p.view(-1)[:64] = 0  # a block of zeros
            if name.endswith("up_proj.weight"):
                p.view(-1)[1000] = 9.0  # an outlier
    model.to(torch.bfloat16).save_pretrained(out / "base")
    expected = {"ids": IDS, "variants": {}}
    for name, options in VARIANTS.items():
        quantized = AutoModelForCausalLM.from_pretrained(out / "base", quantization_config=BitsAndBytesConfig(load_in_4bit=True, **options),
                                                         dtype=torch.bfloat16, device_map="cpu")
        quantized.save_pretrained(out / name)
        matrices = {key: dequantized(p) for key, p in quantized.named_parameters() if hasattr(p, "quant_state")}
        expected["variants"][name] = {"crc32": {key: zlib.crc32(w.numpy().tobytes()) for key, w in sorted(matrices.items())},
                                      "logits": [round(x, 7) for x in logits(out / name, matrices)[-1]]}
    for unused in out.glob("*/generation_config.json"):
        unused.unlink()
    (out / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
