#!/usr/bin/env python3
"""Makes the reference results for SmolLM2-135M-Instruct: tests/golden/smollm2/.

  strings.ids.jsonl, chats.ids.jsonl   token ids of strings.txt (line by line) and of chats.jsonl, by `tokenizers`
  eval.jsonl, train.jsonl              tokenized samples, made of dialogues.jsonl
  expected.json                        losses by transformers (fp32) and of 5 LoRA steps by peft and torch.optim.AdamW
  update.safetensors                   adapter after the steps minus the adapter before, fp16

    python make_smollm2.py SmolLM2-135M-Instruct.Q4_1.gguf [--imported DIR]

--imported also compares the weights and the token ids of a directory that `tandem import` wrote, bit for bit.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from oracle import adapters, samples, smollm2, training

FOLDER = Path(__file__).parent / "smollm2"
BATCH = 3
LORA = {"r": 4, "alpha": 8, "bound_a": 2.0**-5, "bound_b": 2.0**-7}
OPTIONS = {"optimizer.learning_rate": "1e-3", "optimizer.eps": "1e-6", "optimizer.weight_decay": "0",
           "optimizer.max_grad_norm": "0.5", "schedule.type": "constant"}


def write_ids(tokenizer) -> None:
    strings = (FOLDER / "strings.txt").read_bytes().decode().split("\n")[:-1]  # lines end at \n only
    chats = [json.loads(line) for line in (FOLDER / "chats.jsonl").read_text().splitlines()]
    samples.write([tokenizer(text)["input_ids"] for text in strings], FOLDER / "strings.ids.jsonl")
    samples.write([tokenizer.apply_chat_template(chat, return_dict=False) for chat in chats], FOLDER / "chats.ids.jsonl")


def compare_import(model, tokenizer, directory: Path) -> None:
    theirs = load_file(directory / "model.safetensors")
    ours = {name: parameter.detach() for name, parameter in model.named_parameters()}
    assert set(theirs) == set(ours), set(theirs) ^ set(ours)
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name].float()), name
    imported = AutoTokenizer.from_pretrained(directory)
    for text in (FOLDER / "strings.txt").read_bytes().decode().split("\n")[:-1]:
        assert imported(text)["input_ids"] == tokenizer(text)["input_ids"], text
    print(f"{directory}: {len(ours)} tensors and all token ids equal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--imported", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    tokenizer = smollm2.tokenizer_of(arguments.gguf)
    model = smollm2.model_of(arguments.gguf)
    if arguments.imported:
        compare_import(model, tokenizer, arguments.imported)
    write_ids(tokenizer)
    evaluation, train = smollm2.evaluation_samples(tokenizer, FOLDER), smollm2.training_samples(tokenizer, FOLDER)
    samples.write(evaluation, FOLDER / "eval.jsonl")
    samples.write(train, FOLDER / "train.jsonl")
    expected = {"eval_loss": training.mean_loss(model, evaluation), "sample_losses": [training.mean_loss(model, [s]) for s in evaluation],
                "batch": BATCH, "lora": LORA, "options": OPTIONS}
    peft_model = adapters.attach(model, **LORA)
    expected["adapter_eval_loss"] = training.mean_loss(peft_model, evaluation)
    before = adapters.state(peft_model)
    expected["steps"] = training.train(peft_model, samples.batches(train, BATCH), OPTIONS)
    assert all(step["grad_norm"] > float(OPTIONS["optimizer.max_grad_norm"]) for step in expected["steps"])  # clipping is exercised
    update = {name: (tensor - before[name]).half().contiguous() for name, tensor in adapters.state(peft_model).items()}
    expected["update_norm"] = sum(tensor.double().square().sum().item() for tensor in update.values()) ** 0.5
    save_file(update, FOLDER / "update.safetensors")
    (FOLDER / "update.safetensors").chmod(0o644)
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(json.dumps(expected, indent=1))


if __name__ == "__main__":
    main()
