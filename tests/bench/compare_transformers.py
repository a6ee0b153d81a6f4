#!/usr/bin/env python3
"""A training step of tandem and of transformers + peft, side by side on this machine: tokens/s, peak memory, ratios.

    python tests/bench/compare_transformers.py [--tandem build/tandem] [--threads 2] [--rounds 3] [--method lora full] [--compile]

Same dimensions (configs/models/smollm2-135m), same batch (4 rows of 512 tokens, every position trained), bf16, AdamW. The two take turns,
round by round, so that what else the machine does hits both; figures are medians. Needs what tests/golden/requirements.txt lists.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "configs/models/smollm2-135m"
ROWS, LENGTH, STEPS = 4, 512, 3


def run_transformers(method: str, threads: int, compiled: bool) -> dict:
    """One process of its own: its peak memory is the run's."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(MODEL), dtype=torch.bfloat16)
    if method == "lora":
        model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-4)
    ids = torch.randint(0, model.config.vocab_size, (ROWS, LENGTH))
    call = torch.compile(model) if compiled else model
    seconds = []
    for _ in range(STEPS + 1):
        start = time.perf_counter()
        call(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    return {"seconds": statistics.median(seconds[1:]), "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def run_tandem(program: str, method: str, threads: int) -> dict:
    words = [program, "bench", str(ROOT / "configs/bench-lora-135m.ini"), "--json", "--steps", str(STEPS), "--method.type", method,
             "--model.path", str(MODEL), "--device.threads", str(threads)]
    answer = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {"seconds": answer["step_seconds"], "bytes": answer["rss_peak_bytes"]}


def run_child(method: str, arguments) -> dict:
    words = [sys.executable, __file__, "--child", method, "--threads", str(arguments.threads)]
    words += ["--compile"] if arguments.compile else []
    environment = dict(os.environ, OMP_NUM_THREADS=str(arguments.threads))
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tandem", default=str(ROOT / "build/tandem"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--method", nargs="+", choices=["lora", "full"], default=["lora", "full"])
    parser.add_argument("--compile", action="store_true", help="torch.compile the model of transformers")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(run_transformers(arguments.child, arguments.threads, arguments.compile)))
        return
    tokens = ROWS * LENGTH
    print(f"{'':6} {'':14} {'tokens/s':>9} {'rounds':>24} {'peak GB':>8}")
    for method in arguments.method:
        results = {"tandem": [], "transformers": []}
        for _ in range(arguments.rounds):
            results["tandem"].append(run_tandem(arguments.tandem, method, arguments.threads))
            results["transformers"].append(run_child(method, arguments))
        rate = {}
        memory = {}
        for name, runs in results.items():
            rate[name] = statistics.median(tokens / r["seconds"] for r in runs)
            memory[name] = max(r["bytes"] for r in runs)
            rounds = " ".join(f"{tokens / r['seconds']:.0f}" for r in runs)
            print(f"{method:6} {name:14} {rate[name]:9.0f} {rounds:>24} {memory[name] / 1e9:8.2f}", flush=True)
        print(f"{method:6} {'ratio':14} {rate['tandem'] / rate['transformers']:9.2f} {'':24} {memory['tandem'] / memory['transformers']:8.2f}",
              flush=True)


if __name__ == "__main__":
    main()
