"""Full fine-tuning with bitsandbytes' AdamW8bit, on the processor and in fp32: losses, and what became of the tensors whose states are in
eight bits (those of 4096 elements and more)."""

import json
from pathlib import Path

import bitsandbytes
import torch
from safetensors.torch import save_file

from . import models, samples, training

OPTIONS = {"optimizer.learning_rate": "2e-3", "optimizer.eps": "1e-6", "optimizer.weight_decay": "0.1", "optimizer.max_grad_norm": "1.0",
           "schedule.type": "constant", "optimizer.name": "adamw_8bit"}
EPOCHS = 2
NAMES = {"state1": "exp_avg_8bit", "state2": "exp_avg_sq_8bit", "absmax1": "exp_avg_absmax", "absmax2": "exp_avg_sq_absmax"}


def make(directory: Path) -> None:
    """eight_bit.json and eight_bit.safetensors of a model directory with data.jsonl."""
    items = [json.loads(line) for line in (directory / "data.jsonl").read_text().splitlines()]
    model = models.load(directory)
    log = training.train(model, EPOCHS * samples.batches(items), OPTIONS, bitsandbytes.optim.AdamW8bit)
    reference = {}
    for name, parameter in model.named_parameters():
        state = model.optimizer.state[parameter]
        if state["state1"].dtype != torch.uint8:
            continue
        reference[f"final.{name}"] = parameter.detach()
        reference.update({f"{ours}.{name}": state[theirs] for theirs, ours in NAMES.items()})
    assert reference, "no tensor is large enough"
    save_file({name: tensor.contiguous().clone() for name, tensor in reference.items()}, directory / "eight_bit.safetensors")
    (directory / "eight_bit.safetensors").chmod(0o644)
    expected = {"options": OPTIONS, "method": "full", "steps": log}
    (directory / "eight_bit.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(f"{directory.name}, adamw_8bit:", " ".join(f"{entry['loss']:.4f}/{entry['grad_norm']:.2f}" for entry in log))
