#!/usr/bin/env python3
"""Makes the tiny models and their reference results: tests/golden/models/<name>/.

  config.json, model*.safetensors  the model, fp32
  adapter/                         a PEFT adapter to start from
  data.jsonl                       tokenized samples with masks
  reference.safetensors            logits, gradients and weights after the trajectories (computed in float64, stored as fp32)
  expected.json                    losses, gradient norms, learning rates (float64), by trajectory
  eight_bit.safetensors, .json     of some models: a trajectory with bitsandbytes' AdamW8bit (fp32)

    python make_golden.py [--out DIR]      needs requirements.txt; rewrites everything, a minute on one core
    python make_golden.py --eight-bit      the last of these alone
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
import transformers
from peft import PeftModel
from safetensors.torch import save_file

from oracle import adapters, eight_bit, float64, models, samples, training

ADAMW = {"optimizer.learning_rate": "1e-3", "optimizer.eps": "1e-6", "optimizer.weight_decay": "0",
         "optimizer.max_grad_norm": "1.0", "schedule.type": "constant"}
TRAJECTORIES = {
    "lora": dict(ADAMW),
    "lora_decay_cosine": dict(ADAMW, **{"optimizer.weight_decay": "0.1", "schedule.type": "cosine", "schedule.warmup_steps": "2"}),
    "lora_min_lr": dict(ADAMW, **{"schedule.type": "cosine", "schedule.warmup_steps": "1", "schedule.min_lr_ratio": "0.2"}),
    "lora_linear": dict(ADAMW, **{"schedule.type": "linear", "schedule.warmup_ratio": "0.3"}),
    "full": dict(ADAMW, **{"optimizer.weight_decay": "0.1"}),
}
EVERY_MODEL = ["lora"]
FIRST_MODEL = ["lora", "lora_decay_cosine", "lora_min_lr", "lora_linear"]
EIGHT_BIT = ["llama_gqa", "llama_tied"]
FULL_STEPS = 3
LOGITS_OF = 3  # the first samples


def fresh(directory: Path, precision: str, adapter: bool):
    model = models.load(directory)
    if adapter:
        model = PeftModel.from_pretrained(model, directory / "adapter", is_trainable=True)
    return float64.convert(model) if precision == "fp64" else model


def trajectory(directory: Path, name: str, batches: list, reference: dict) -> dict:
    adapter = name.startswith("lora")
    steps = batches if adapter else batches[:FULL_STEPS]
    model = fresh(directory, "fp64", adapter)
    log = training.train(model, steps, TRAJECTORIES[name])
    final = adapters.state(model) if adapter else dict(model.named_parameters())
    reference.update({f"{name}.final.{key}": value.detach().float() for key, value in final.items()})
    # The unmodified fp32 model bounds what the float64 replacements may have changed.
    plain = training.train(fresh(directory, "fp32", adapter), steps, TRAJECTORIES[name])
    for ours, theirs in zip(log, plain):
        assert abs(ours["loss"] / theirs["loss"] - 1) < 1e-5 and abs(ours["grad_norm"] / theirs["grad_norm"] - 1) < 1e-4, (ours, theirs)
    assert any(entry["grad_norm"] > 1.0 for entry in log), "clipping is not exercised"
    return {"options": TRAJECTORIES[name], "method": "lora" if adapter else "full", "steps": log}


def gradients(directory: Path, batch: list, reference: dict) -> None:
    model = fresh(directory, "fp64", False)
    training.backward(model, batch)
    reference.update({f"gradient.{name}": parameter.grad.float() for name, parameter in model.named_parameters()})
    model = fresh(directory, "fp64", True)
    training.backward(model, batch)
    reference.update({f"lora.gradient.{name}": value.float() for name, value in adapters.gradients(model).items()})


def make(spec: models.Spec, directory: Path) -> None:
    models.write(spec, directory)
    items = samples.make(models.seed_of(spec.name), spec.config["vocab_size"])
    samples.write(items, directory / "data.jsonl")
    adapter = adapters.attach(models.load(directory), r=4, alpha=8, bound_a=0.25, bound_b=0.125)
    adapters.save(adapter, directory / "adapter", base=f"tests/golden/models/{spec.name}", by_suffix=spec is models.SPECS[0])

    model, plain = fresh(directory, "fp64", False), fresh(directory, "fp32", False)
    reference, expected = {}, {}
    with torch.no_grad():
        for number, item in enumerate(items[:LOGITS_OF]):
            logits = training.logits_of(model, item)
            torch.testing.assert_close(logits.float(), training.logits_of(plain, item), rtol=2e-5, atol=2e-5)
            reference[f"logits.{number}"] = logits.float()
    expected["tokens"] = sum(len(item["input_ids"]) for item in items)
    expected["trained_tokens"] = sum(samples.trained(item) for item in items)
    expected["eval_loss"] = training.mean_loss(model, items)
    expected["adapter_eval_loss"] = training.mean_loss(fresh(directory, "fp64", True), items)
    assert abs(expected["adapter_eval_loss"] - expected["eval_loss"]) > 1e-3
    if getattr(model.config, "sliding_window", None):  # the window must matter, or it is not tested
        plain.config.sliding_window = 4 * samples.ROW
        assert abs(training.mean_loss(plain, items) - expected["eval_loss"]) > 1e-3
    expected["batch"], expected["row"], expected["rows"] = samples.BATCH, samples.ROW, samples.ROWS
    batches = samples.batches(items)
    gradients(directory, batches[0], reference)
    names = (FIRST_MODEL if spec is models.SPECS[0] else EVERY_MODEL) + (["full"] if spec.full_steps else [])
    expected["trajectories"] = {name: trajectory(directory, name, batches, reference) for name in names}
    save_file({name: tensor.contiguous().clone() for name, tensor in reference.items()}, directory / "reference.safetensors")
    (directory / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    lora = expected["trajectories"]["lora"]["steps"]
    for file in directory.rglob("*.safetensors"):
        file.chmod(0o644)
    print(f"{spec.name}: eval {expected['eval_loss']:.6f}, with adapter {expected['adapter_eval_loss']:.6f}; lora",
          " ".join(f"{entry['loss']:.4f}/{entry['grad_norm']:.2f}" for entry in lora))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "models")
    parser.add_argument("--eight-bit", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    for spec in models.SPECS:
        directory = arguments.out / spec.name
        if not arguments.eight_bit:
            shutil.rmtree(directory, ignore_errors=True)
            make(spec, directory)
        if spec.name in EIGHT_BIT:
            eight_bit.make(directory)


if __name__ == "__main__":
    main()
