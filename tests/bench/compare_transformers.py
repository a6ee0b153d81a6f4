#!/usr/bin/env python3
"""A training step of tandem and of transformers + peft, side by side on this machine: tokens/s, model-FLOPs utilisation, memory, ratios.

    python tests/bench/compare_transformers.py [--tandem build/tandem] [--threads 2] [--rounds 3] [--method lora full] [--compile]
    python tests/bench/compare_transformers.py --device cuda [--method lora-8b qlora-8b full-7b]

Both read the same configuration (configs/bench-*.ini): dimensions, rows, accumulation, recomputation, optimizer; weights and tokens are random
and every position is trained, in bf16. On GPUs torch's attention is scaled_dot_product_attention, its AdamW the fused one; QLoRA and moments
in eight bits take bitsandbytes, and a case without it is left out, saying so (full-7b then runs torch's AdamW). The two take turns, round by round,
so that what else the machine does hits both; figures are medians. On GPUs adapters, which peft keeps in fp32, are multiplied in bf16 (autocast), as
transformers' Trainer does with bf16 = True. A case that fails, for lack of memory perhaps, is one line, and the exit code is 1 at the end. Needs torch,
transformers and peft (tests/golden/requirements.txt).
"""

import argparse
import configparser
import gc
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STEPS = 3
CASES = {
    "cpu": {"lora": ("bench-lora-135m", []), "full": ("bench-lora-135m", ["--method.type", "full"])},
    "cuda": {"lora-8b": ("bench-llama-3-8b-lora", []), "qlora-8b": ("bench-llama-3-8b-qlora", []), "full-7b": ("bench-qwen2.5-7b-full", [])},
}
HAVE_BITSANDBYTES = importlib.util.find_spec("bitsandbytes") is not None


def settings(name: str, options: list) -> dict:
    """What a configuration says, with the options after it."""
    parser = configparser.ConfigParser(inline_comment_prefixes=("#",))
    parser.read(ROOT / "configs" / f"{name}.ini")
    found = {f"{section}.{key}": value for section in parser.sections() for key, value in parser[section].items()}
    found.update({key[2:]: value for key, value in zip(options[::2], options[1::2])})
    return found


def make_model(config: dict, device: str):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(ROOT / config["model.path"]), dtype=torch.bfloat16)
    if config["method.type"] == "qlora":
        quantise(model, device)
    if config.get("training.recompute") == "full":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.config.use_cache = False
    if config["method.type"] != "full":
        model.requires_grad_(False)
        model = get_peft_model(model, LoraConfig(r=int(config["lora.r"]), lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
        if config.get("training.recompute") == "full":
            model.enable_input_require_grads()
    return model.train()


def quantise(model, device: str) -> None:
    """Every linear layer but the head, as transformers does with load_in_4bit, but without a checkpoint."""
    import bitsandbytes as bnb
    import torch

    # By name: a list of the layers would keep all of them until the end.
    for name in [name for name, module in model.named_modules() if type(module) is torch.nn.Linear and name != "lm_head"]:
        module = model.get_submodule(name)
        layer = bnb.nn.Linear4bit(module.in_features, module.out_features, bias=module.bias is not None, compute_dtype=torch.bfloat16,
                                  compress_statistics=True, quant_type="nf4", device="meta")
        layer.weight = bnb.nn.Params4bit(module.weight.data.cpu(), requires_grad=False, compress_statistics=True, quant_type="nf4")
        if module.bias is not None:
            layer.bias = module.bias
        parent = model.get_submodule(name.rpartition(".")[0])
        setattr(parent, name.rpartition(".")[2], layer.to(device))


def make_optimizer(config: dict, model, device: str):
    import torch

    parameters, rate = [p for p in model.parameters() if p.requires_grad], float(config.get("optimizer.learning_rate", 2e-4))
    if config.get("optimizer.name") == "adamw_8bit" and HAVE_BITSANDBYTES:
        import bitsandbytes as bnb
        return bnb.optim.AdamW8bit(parameters, lr=rate, weight_decay=0.0)
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=0.0, fused=device == "cuda")


def run_transformers(config: dict, device: str, threads: int, compiled: bool) -> dict:
    """One process of its own: its peak memory is the run's."""
    import torch

    torch.set_num_threads(threads)
    model = make_model(config, device)
    if device == "cuda":  # what making it took is no part of a step
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    cast = torch.autocast(device, torch.bfloat16, enabled=device == "cuda" and config["method.type"] != "full")
    optimizer = make_optimizer(config, model, device)
    micro, length = int(config["training.micro_batch_size"]), int(config["data.max_seq_length"])
    accumulate = int(config["training.global_batch_size"]) // micro
    ids = torch.randint(0, model.config.vocab_size, (micro, length), device=device)
    call = torch.compile(model) if compiled else model
    seconds = []
    for _ in range(STEPS + 1):
        start = time.perf_counter()
        for _ in range(accumulate):
            with cast:
                loss = call(input_ids=ids, labels=ids).loss / accumulate
            loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        norm.item()  # waits for the device, as a trainer's log does
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_reserved() if device == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": statistics.median(seconds[1:]), "bytes": peak}


def run_tandem(program: str, name: str, options: list, device: str, threads: int) -> dict:
    words = [program, "bench", str(ROOT / f"configs/{name}.ini"), "--json", "--steps", str(STEPS), *options, "--device.backend", device]
    words += ["--device.threads", str(threads)]
    answer = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout)
    memory = answer["rss_peak_bytes" if device == "cpu" else "memory_peak_bytes"]
    return {"seconds": answer["step_seconds"], "bytes": memory, "utilisation": answer["mfu"] * answer["step_seconds"]}


def run_child(case: str, arguments) -> dict:
    words = [sys.executable, __file__, "--child", case, "--threads", str(arguments.threads), "--device", arguments.device]
    words += ["--compile"] if arguments.compile else []
    environment = dict(os.environ, OMP_NUM_THREADS=str(arguments.threads))
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout.splitlines()[-1])


def compare(case: str, arguments) -> bool:
    name, options = CASES[arguments.device][case]
    config = settings(name, options)
    tokens = int(config["training.global_batch_size"]) * int(config["data.max_seq_length"])
    with_peer = config["method.type"] != "qlora" or HAVE_BITSANDBYTES
    peers = {"tandem": lambda: run_tandem(arguments.tandem, name, options, arguments.device, arguments.threads)}
    if with_peer:
        peers["transformers"] = lambda: run_child(case, arguments)
    results, failed = {peer: [] for peer in peers}, set()
    for _ in range(arguments.rounds):
        for peer in peers:
            if peer in failed:
                continue
            try:
                results[peer].append(peers[peer]())
            except subprocess.CalledProcessError as error:
                failed.add(peer)
                print(f"{case:9} {peer:14} failed: exit code {error.returncode}", flush=True)
    results = {peer: runs for peer, runs in results.items() if peer not in failed}
    # Of the rate of large products that bench measures; seconds a step that reached it would take.
    ideal = statistics.median(run["utilisation"] for run in results["tandem"]) if "tandem" in results else float("nan")
    rate, memory = {}, {}
    for peer, runs in results.items():
        rate[peer] = statistics.median(tokens / run["seconds"] for run in runs)
        memory[peer] = max(run["bytes"] for run in runs)
        rounds = " ".join(f"{tokens / run['seconds']:.0f}" for run in runs)
        print(f"{case:9} {peer:14} {rate[peer]:9.0f} {rounds:>24} {100 * ideal * rate[peer] / tokens:6.1f} {memory[peer] / 1e9:8.2f}", flush=True)
    if len(results) == 2:
        print(f"{case:9} {'ratio':14} {rate['tandem'] / rate['transformers']:9.2f} {'':24} {'':6} "
              f"{memory['tandem'] / memory['transformers']:8.2f}", flush=True)
    elif not with_peer:
        print(f"{case:9} transformers is left out: there is no bitsandbytes here", flush=True)
    if config.get("optimizer.name") == "adamw_8bit" and with_peer and not HAVE_BITSANDBYTES:
        print(f"{case:9} there is no bitsandbytes here: transformers ran torch's AdamW, tandem moments in eight bits", flush=True)
    return not failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tandem", default=str(ROOT / "build/tandem"))
    parser.add_argument("--device", choices=list(CASES), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--method", nargs="+", help="the cases of the device (all)")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model of transformers")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    known = CASES[arguments.device]
    unknown = [case for case in arguments.method or [] if case not in known]
    if unknown:
        parser.error(f"--method {' '.join(unknown)}: --device {arguments.device} has {', '.join(known)}")
    if arguments.child:
        config = settings(*known[arguments.child])
        print(json.dumps(run_transformers(config, arguments.device, arguments.threads, arguments.compile)))
        return
    print(f"{'':9} {'':14} {'tokens/s':>9} {'rounds':>24} {'MFU %':>6} {'peak GB':>8}")
    if not all([compare(case, arguments) for case in arguments.method or known]):
        sys.exit(1)


if __name__ == "__main__":
    main()
