#!/usr/bin/env python3
"""configs/full-7b-8xa100.ini planned, and the same program run at a twentieth of the size: is every rank's ledger what was planned?

    python3 tests/bench/twentieth.py [--tandem build/tandem] [--steps 2] [--length 64]

Full fine-tuning of 344 M parameters (bf16 weights, fp32 master and moments) over eight data-parallel ranks of this machine, ZeRO-2, two
micro-batches a step. Takes 13 GiB of memory. Exit status 1 where a rank's arenas are not the plan's to the byte, or it used more.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG, MODEL, RANKS = ROOT / "configs/full-7b-8xa100.ini", ROOT / "configs/models/llama-2-7b-twentieth", 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tandem", default=str(ROOT / "build/tandem"))
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--length", type=int, default=64)
    arguments = parser.parse_args()
    subprocess.run([arguments.tandem, "plan", str(CONFIG), "--hardware", str(ROOT / "configs/hardware/8x-a100-80g.ini")], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        train, out = Path(scratch) / "train.jsonl", Path(scratch) / "out"
        draw = random.Random(7)
        rows = [[draw.randrange(32000) for _ in range(arguments.length)] for _ in range(2 * RANKS * arguments.steps)]
        train.write_text("".join(json.dumps({"input_ids": row}) + "\n" for row in rows))
        words = ["--model.path", str(MODEL), "--data.max_seq_length", str(arguments.length), "--training.global_batch_size", str(2 * RANKS),
                 "--device.threads", "1"]
        plan = json.loads(subprocess.run([arguments.tandem, "plan", str(CONFIG), *words, "--ranks", str(RANKS), "--json"], check=False,
                                         stdout=subprocess.PIPE, text=True).stdout)
        command = [str(ROOT / "launch/tandem"), "-n", str(RANKS), "train", str(CONFIG), *words, "--data.train", str(train), "--data.format",
                   "tokenized", "--data.packing", "false", "--training.max_steps", str(arguments.steps), "--output.dir", str(out)]
        subprocess.run(command, check=True, env={**os.environ, "TANDEM": arguments.tandem})
        manifest = json.loads((out / "manifest.json").read_text())
        log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    planned = [group["bytes"] for group in plan["ranks"] for _ in range(group["count"])]
    ledger = manifest["memory"]["reserved_bytes_by_rank"]
    equal = len(planned) == len(ledger) == RANKS
    print(f"\n{'rank':>4} {'kind':<14} {'planned':>12} {'reserved':>12}")
    for rank, (want, got) in enumerate(zip(planned, ledger)):
        for kind, count in want.items():
            equal = equal and got[kind] == count
            if rank == 0:
                print(f"{rank:>4} {kind:<14} {count:>12} {got[kind]:>12}")
    used = max(entry["memory_peak_bytes"] for entry in log if "loss" in entry)
    equal = equal and used <= plan["peak_bytes"]
    print(f"planned {plan['peak_bytes']} bytes, used {used}, process {max(e['rss_peak_bytes'] for e in log if 'loss' in e)}; "
          f"{RANKS} ranks: {'every ledger is the plan' if equal else 'LEDGER AND PLAN DIFFER'}")
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
