#!/usr/bin/env python3
"""Makes the reference of a full fine-tuning of SmolLM2-135M-Instruct: tests/golden/smollm2/full.json.

3 steps of transformers in fp32 and torch.optim.AdamW on train.jsonl (make_smollm2.py): losses, gradient norms, and each tensor's update (weights
after - before) in a few numbers (oracle/projections.py), for the update itself has 135 million.

    python make_smollm2_full.py SmolLM2-135M-Instruct.Q4_1.gguf
"""

import argparse
import json
from pathlib import Path

import torch

from oracle import projections, smollm2, training

FOLDER = Path(__file__).parent / "smollm2"
BATCH, STEPS = 4, 3
OPTIONS = {"optimizer.learning_rate": "1e-4", "optimizer.eps": "1e-6", "optimizer.weight_decay": "0.1",
           "optimizer.max_grad_norm": "1.0", "schedule.type": "linear"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    model = smollm2.model_of(arguments.gguf)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    train = [json.loads(line) for line in (FOLDER / "train.jsonl").read_text().splitlines()][:BATCH * STEPS]
    assert len(train) == BATCH * STEPS, len(train)
    steps = training.train(model, [train[i:i + BATCH] for i in range(0, len(train), BATCH)], OPTIONS)
    assert all(step["grad_norm"] > float(OPTIONS["optimizer.max_grad_norm"]) for step in steps)  # clipping is exercised
    update = {name: projections.summary(name, (parameter.detach().double() - before[name].double()).numpy())
              for name, parameter in model.named_parameters()}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(tensor)}" for name, tensor in update.items())
    head = json.dumps({"batch": BATCH, "options": OPTIONS, "steps": steps}, indent=1)
    (FOLDER / "full.json").write_text(f"{head[:-2]},\n \"update\": {{\n{lines}\n }}\n}}\n")
    print(head, len(update), "tensors")


if __name__ == "__main__":
    main()
