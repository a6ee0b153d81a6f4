#!/usr/bin/env python3
"""Makes the reference of QLoRA of SmolLM2-135M-Instruct: tests/golden/smollm2/qlora.json.

The linear layers of the decoder are quantised by bitsandbytes (NF4, blocks of 64, double quantisation; on the CPU) and dequantised to fp32; over
that base: the loss of eval.jsonl, and 5 LoRA steps by peft and torch.optim.AdamW on train.jsonl, with the adapter of make_smollm2.py.

    python make_smollm2_qlora.py SmolLM2-135M-Instruct.Q4_1.gguf
"""

import argparse
import json
from pathlib import Path

import torch
from bitsandbytes import functional

from make_smollm2 import BATCH, FOLDER, LORA, OPTIONS
from oracle import adapters, samples, smollm2, training


def through_nf4(model: torch.nn.Module) -> int:
    """Rounds what bitsandbytes would quantise; returns the number of matrices."""
    count = 0
    with torch.no_grad():
        for name, module in model.named_modules():
            if not isinstance(module, torch.nn.Linear) or name == "lm_head":
                continue
            codes, state = functional.quantize_4bit(module.weight.data, blocksize=64, compress_statistics=True, quant_type="nf4")
            module.weight.copy_(functional.dequantize_4bit(codes, state))
            count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # a sum's order, and so the last bit of an offset, depends on it
    model = smollm2.model_of(arguments.gguf)
    expected = {"matrices": through_nf4(model)}
    evaluation, train = ([json.loads(line) for line in (FOLDER / name).read_text().splitlines()] for name in ("eval.jsonl", "train.jsonl"))
    expected["eval_loss"] = training.mean_loss(model, evaluation)
    peft_model = adapters.attach(model, **LORA)
    before = adapters.state(peft_model)
    expected["steps"] = training.train(peft_model, samples.batches(train, BATCH), OPTIONS)
    expected["update_norm"] = sum((tensor - before[name]).double().square().sum().item()
                                  for name, tensor in adapters.state(peft_model).items()) ** 0.5
    (FOLDER / "qlora.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(json.dumps(expected, indent=1))


if __name__ == "__main__":
    main()
