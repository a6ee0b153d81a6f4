#!/usr/bin/env python3
"""Tables of docs/parallelism.md, from the program itself.

    python3 tests/bench/layouts.py memory [--program build/tandem]
        what a rank of a 135M model needs under each layout: the ledger that `tandem plan` and `tandem train` share
    python3 tests/bench/layouts.py time [--program build/tandem] [--steps 6]
        seconds of a step with 1, 2 and 4 pipeline stages on this machine, as planned and as run

Nothing is downloaded: weights are random, data are made here.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "configs" / "models" / "smollm2-135m"
ROWS = 16
KINDS = ["weights", "gradients", "master", "optimizer", "activations", "workspace", "communication"]

# name, ranks, options
LAYOUTS = [
    ("one rank", 1, {}),
    ("data 2, zero 0", 2, {"zero": 0}),
    ("data 2, zero 1", 2, {"zero": 1}),
    ("data 2, zero 2", 2, {"zero": 2}),
    ("data 4, zero 2", 4, {"zero": 2}),
    ("data 8, zero 2", 8, {"zero": 2}),
    ("tensor 3", 3, {"tensor": 3}),
    ("pipeline 2, gpipe", 2, {"pipeline": 2, "schedule": "gpipe"}),
    ("pipeline 2, 1f1b", 2, {"pipeline": 2, "schedule": "1f1b"}),
    ("pipeline 2, interleaved, 2 chunks", 2, {"pipeline": 2, "chunks": 2}),
    ("pipeline 2, zb-h1", 2, {"pipeline": 2, "schedule": "zb-h1"}),
    ("pipeline 4, 1f1b", 4, {"pipeline": 4}),
    ("data 2 x pipeline 2, zero 2", 4, {"pipeline": 2, "zero": 2}),
    ("data 2 x tensor 3, zero 2", 6, {"tensor": 3, "zero": 2}),
]


def command(program: Path, verb: str, method: str, options: dict, more: list) -> list:
    words = [program, verb, ROOT / "configs" / "bench-lora-135m.ini", "--method.type", method, "--training.global_batch_size", str(ROWS),
             "--training.micro_batch_size", "1", "--data.max_seq_length", "512", "--training.recompute", "none", *more]
    for key, value in options.items():
        words += [f"--parallel.{key}", value]
    return [str(word) for word in words]


def run(words: list, ranks: int = 1) -> str:
    environment = dict(os.environ)
    if ranks > 1:
        words = [str(ROOT / "tests" / "support" / "mpi-run"), str(ranks), "900", *words]
    result = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if result.returncode not in (0, 4):
        raise SystemExit(f"{' '.join(words)}\nended with {result.returncode}:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.stdout


def plan(program: Path, method: str, ranks: int, options: dict, hardware: list) -> dict:
    return json.loads(run(command(program, "plan", method, options, ["--json", "--ranks", str(ranks), *hardware])))


def memory(program: Path) -> None:
    hardware = ["--hardware", str(ROOT / "configs" / "hardware" / "8x-a100-80g.ini")]
    for method in ("full", "lora"):
        print(f"\n{'Full fine-tuning' if method == 'full' else 'LoRA, r 16'}, bf16, {ROWS} rows of 512 tokens a step, MiB of the rank that needs most:\n")
        print("| layout | " + " | ".join(KINDS) + " | peak | other stages' peaks |")
        print("|---|" + "---:|" * (len(KINDS) + 1) + "---|")
        for name, ranks, options in LAYOUTS:
            groups = plan(program, method, ranks, options, hardware)["ranks"]
            most = max(groups, key=lambda g: g["peak_bytes"])
            others = ", ".join(str(round(g["peak_bytes"] / 2**20)) for g in groups if g is not most)
            cells = [str(round(most["bytes"][kind] / 2**20)) for kind in KINDS]
            print(f"| {name} | " + " | ".join(cells) + f" | {round(most['peak_bytes'] / 2**20)} | {others} |")


def write_data(path: Path, rows: int, length: int) -> None:
    draw = random.Random(1)
    with path.open("w") as out:
        for _ in range(rows):
            out.write(json.dumps({"input_ids": [draw.randrange(49152) for _ in range(length)]}) + "\n")


def time(program: Path, steps: int) -> None:
    print("| method | stages | planned s | run s | planned bubble s | tokens/s run |")
    print("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data.jsonl"
        write_data(data, ROWS * steps, 512)
        for method in ("lora", "full"):
            for stages in (1, 2, 4):
                options = {"pipeline": stages} if stages > 1 else {}
                threads = ["--device.threads", "1"]
                planned = json.loads(run(command(program, "plan", method, options, ["--json", "--ranks", str(stages), *threads])))
                output = Path(scratch) / f"{method}{stages}"
                run(command(program, "train", method, options,
                            [*threads, "--data.train", data, "--data.format", "tokenized", "--training.max_steps", steps, "--output.dir", output,
                             "--checkpoint.minutes", "0", "--checkpoint.resume", "none"]), stages)
                seen = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
                seconds = statistics.median(step["step_seconds"] for step in seen[1:])
                print(f"| {method} | {stages} | {planned['step_seconds']:.2f} | {seconds:.2f} | {planned['by_cause']['bubble']:.2f} | {ROWS * 512 / seconds:.0f} |",
                      flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["memory", "time"])
    parser.add_argument("--program", type=Path, default=ROOT / "build" / "tandem")
    parser.add_argument("--steps", type=int, default=6)
    arguments = parser.parse_args()
    if arguments.table == "memory":
        memory(arguments.program)
    else:
        time(arguments.program, arguments.steps)


if __name__ == "__main__":
    main()
