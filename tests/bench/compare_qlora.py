#!/usr/bin/env python3
"""Full fine-tuning, LoRA and QLoRA of SmolLM2-135M on the quickstart's data, and peft beside them: validation loss, bytes by kind, tokens/s.

    python tests/bench/compare_qlora.py [--tandem build/tandem] [--steps 70] [--rows 16] [--ranks 2] [--only tandem|peft] [--base bitsandbytes]

Needs what launch/quickstart leaves in .cache/quickstart (model and data), and tests/golden/requirements.txt with bitsandbytes. Both train on the
same conversations, tokenized here with the model's chat template, in file order, from the same fresh adapter. peft trains in fp32, over the
16-bit base and over the base that bitsandbytes quantised (NF4, blocks of 64, double quantisation) and dequantised; tandem as configs/quickstart.ini
does, in bf16. Minutes each; the table goes to standard output, and into --out as JSON.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache/quickstart"
WORK = ROOT / ".cache/compare-qlora"
sys.path.insert(0, str(ROOT / "tests/golden"))

RATES = {"full": 1e-4, "lora": 1e-3, "qlora": 1e-3}
LORA = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}


def tokenize(tokenizer, source: Path, target: Path, count: int | None) -> list[dict]:
    """Answers are trained, questions are not."""
    result = []
    for line in source.read_text().splitlines()[:count]:
        messages = json.loads(line)["messages"]
        ids = tokenizer.apply_chat_template(messages, return_dict=False)
        start = len(tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=False))
        result.append({"input_ids": ids, "labels": [-100] * start + ids[start:]})
    target.write_text("".join(json.dumps(sample) + "\n" for sample in result))
    return result


def base_model(quantised: bool):
    import torch
    from transformers import AutoModelForCausalLM
    from make_smollm2_qlora import through_nf4

    model = AutoModelForCausalLM.from_pretrained(CACHE / "model", dtype=torch.float32)
    if quantised:
        torch.set_num_threads(1)
        through_nf4(model)
        torch.set_num_threads(2)
    return model


def fresh_adapter(directory: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    get_peft_model(base_model(False), LoraConfig(**LORA)).save_pretrained(directory)


def run_peft(quantised: bool, train: list[dict], validation: list[dict], arguments) -> dict:
    import torch
    from peft import PeftModel
    from oracle import training

    model = PeftModel.from_pretrained(base_model(quantised), WORK / "fresh", is_trainable=True)
    before = training.mean_loss(model, validation)
    batches = [train[i * arguments.rows:(i + 1) * arguments.rows] for i in range(arguments.steps)]
    options = {"optimizer.learning_rate": str(RATES["lora"]), "optimizer.eps": "1e-8", "optimizer.weight_decay": "0",
               "optimizer.max_grad_norm": "1.0", "schedule.type": "cosine", "schedule.warmup_steps": "4"}
    start = time.perf_counter()
    log = training.train(model, batches, options)
    seconds = time.perf_counter() - start
    return {"before": before, "after": training.mean_loss(model, validation), "tokens_per_second": sum(s["tokens"] for s in log) / seconds,
            "losses": [step["loss"] for step in log]}


def run_tandem(method: str, arguments) -> dict:
    out = WORK / f"tandem-{method}"
    subprocess.run(["rm", "-rf", str(out)], check=True)
    words = {"model.path": CACHE / "model", "method.type": method, "data.train": WORK / "train.jsonl", "data.validation": WORK / "validation.jsonl",
             "data.format": "tokenized", "data.packing": "false", "data.shuffle": "false", "data.cache": WORK / "tokens",
             "data.max_seq_length": 512, "training.max_steps": arguments.steps, "training.global_batch_size": arguments.rows,
             "training.micro_batch_size": 4, "optimizer.learning_rate": RATES[method], "output.dir": out,
             "optimizer.name": arguments.optimizer if method == "qlora" else "adamw"}
    if method != "full":
        words["lora.adapter"] = WORK / "fresh"
    if arguments.ranks == 1:
        words["parallel.pipeline"] = 1
    command = [str(ROOT / "launch/tandem"), "-n", str(arguments.ranks), "train", str(ROOT / "configs/quickstart.ini")]
    subprocess.run(command + [str(w) for key, value in words.items() for w in (f"--{key}", value)], check=True, stdout=subprocess.DEVNULL)
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    steps, evaluations = [e for e in log if "loss" in e], [e for e in log if "eval_loss" in e]
    manifest = json.loads((out / "manifest.json").read_text())
    return {"before": evaluations[0]["eval_loss"], "after": evaluations[-1]["eval_loss"],
            "tokens_per_second": sum(s["tokens"] for s in steps) / sum(s["step_seconds"] for s in steps), "losses": [s["loss"] for s in steps],
            "memory": manifest["memory"]["reserved_bytes_by_rank"], "rss_peak_bytes": max(s["rss_peak_bytes"] for s in steps)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tandem", default=str(ROOT / "build/tandem"))
    parser.add_argument("--steps", type=int, default=70)
    parser.add_argument("--rows", type=int, default=16, help="conversations a step")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--optimizer", default="adamw", help="of QLoRA")
    parser.add_argument("--only", choices=["tandem", "peft"])
    parser.add_argument("--base", nargs="+", choices=["16-bit", "bitsandbytes"], default=["16-bit", "bitsandbytes"], help="of peft")
    parser.add_argument("--out", type=Path, default=WORK / "results.json")
    arguments = parser.parse_args()
    from transformers import AutoTokenizer

    WORK.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(CACHE / "model")
    train = tokenize(tokenizer, CACHE / "data/train.jsonl", WORK / "train.jsonl", arguments.steps * arguments.rows)
    validation = tokenize(tokenizer, CACHE / "data/validation.jsonl", WORK / "validation.jsonl", None)
    if not (WORK / "fresh").exists():
        fresh_adapter(WORK / "fresh")
    results = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    if arguments.only != "peft":
        for method in RATES:
            results[f"tandem {method}"] = run_tandem(method, arguments)
    if arguments.only != "tandem":
        for base in arguments.base:
            results[f"peft lora, {base} base"] = run_peft(base == "bitsandbytes", train, validation, arguments)
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    print("| run | validation loss before | after | tokens/s |\n|---|---|---|---|")
    for name, r in results.items():
        print(f"| {name} | {r['before']:.4f} | {r['after']:.4f} | {r['tokens_per_second']:.0f} |")
    for name, r in results.items():
        if "memory" in r:
            print(name, json.dumps(r["memory"]), f"RSS {r['rss_peak_bytes'] / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
