#!/usr/bin/env python3
"""What tandem writes, read by transformers and peft; run by hand (docs/verification.md has the figures).

    python check_end_to_end.py adapter MODEL ADAPTER DATA.jsonl --tandem build/tandem
        the adapter directory loads in peft; mean loss over DATA with it, by peft and by `tandem eval`; also merged by peft
        (merge_and_unload), which must be the same function

    python check_end_to_end.py model MODEL DATA.jsonl --tandem build/tandem
        the model directory (a `tandem import`, or model/ of a full fine-tuning) loads in transformers; losses likewise

    python check_end_to_end.py generate MODEL [--adapter ADAPTER] --prompt TEXT --tandem build/tandem
        greedy continuations, token by token

    python check_end_to_end.py logits MODEL [--adapter ADAPTER] DATA.jsonl --print-logits build/tests/golden/print_logits
        every logit of every position, fp32 on both sides

    python check_end_to_end.py tiny --tandem build/tandem
        all of that but texts for every model of models/, each trained for 4 steps on 2 ranks, LoRA and full
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file

from oracle import training


def tandem(arguments, *words: str) -> str:
    return subprocess.run([arguments.tandem, *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def tandem_loss(arguments, *options: str) -> float:
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "eval.ini"
        config.write_text("[data]\nformat = tokenized\nmax_seq_length = 2048\n[model]\ndtype = fp32\n")
        output = tandem(arguments, "eval", str(config), "--json", "--model.path", arguments.model, "--output.dir", directory,
                        "--data.validation", arguments.data, *options)
    return json.loads(output)["eval_loss"]


def report(name: str, ours: float, theirs: float) -> None:
    print(f"{name}: tandem {ours:.9f}, reference {theirs:.9f}, relative difference {abs(ours / theirs - 1):.1e}")


def load(arguments):
    model, info = transformers.AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    return model.eval()


def check_adapter(arguments) -> None:
    samples = [json.loads(line) for line in Path(arguments.data).read_text().splitlines()]
    model = PeftModel.from_pretrained(load(arguments), arguments.adapter)
    factors = [name for name, _ in model.named_parameters() if "lora_" in name]
    stored = len(load_file(Path(arguments.adapter) / "adapter_model.safetensors"))
    assert len(factors) == stored, (len(factors), stored)
    ours = tandem_loss(arguments, "--lora.adapter", arguments.adapter)
    report(f"{stored} factors, adapted model", ours, training.mean_loss(model, samples))
    report("merged model", ours, training.mean_loss(model.merge_and_unload(), samples))


def check_model(arguments) -> None:
    samples = [json.loads(line) for line in Path(arguments.data).read_text().splitlines()]
    report("model", tandem_loss(arguments, "--method.type", "full"), training.mean_loss(load(arguments), samples))


def check_generate(arguments) -> None:
    model = load(arguments)
    options = ["--adapter", arguments.adapter] if arguments.adapter else []
    if arguments.adapter:
        model = PeftModel.from_pretrained(model, arguments.adapter)
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    ids = tokenizer.apply_chat_template([{"role": "user", "content": arguments.prompt}], add_generation_prompt=True, return_dict=False)
    output = model.generate(input_ids=torch.tensor([ids]), max_new_tokens=40, do_sample=False)[0][len(ids):]
    theirs = tokenizer.decode(output, skip_special_tokens=True)
    ours = tandem(arguments, "generate", "--model", arguments.model, *options, "--chat", arguments.prompt, "--max-new-tokens", "40",
                  "--model.dtype", "fp32")
    print(f"tandem:       {ours.strip()!r}\ntransformers: {theirs.strip()!r}\nequal: {ours.strip() == theirs.strip()}")


def check_logits(arguments) -> None:
    samples = [json.loads(line) for line in Path(arguments.data).read_text().splitlines()]
    model = load(arguments)
    if arguments.adapter:
        model = PeftModel.from_pretrained(model, arguments.adapter)
    with torch.no_grad():
        theirs = torch.cat([training.logits_of(model, sample) for sample in samples]).double()
    with tempfile.NamedTemporaryFile() as file:
        words = [arguments.print_logits, arguments.model, arguments.data, file.name] + ([arguments.adapter] if arguments.adapter else [])
        subprocess.run(words, check=True)
        ours = torch.from_numpy(numpy.fromfile(file.name)).view(theirs.shape)
    difference = (ours - theirs).abs()
    print(f"{theirs.shape[0]} positions x {theirs.shape[1]} logits up to {theirs.abs().max():.2f}: largest absolute difference "
          f"{difference.max():.1e}, relative in Frobenius norm {((ours - theirs).norm() / theirs.norm()):.1e}, "
          f"the same token is the likeliest at {(ours.argmax(-1) == theirs.argmax(-1)).sum()} of {theirs.shape[0]} positions")


def check_tiny(arguments) -> None:
    root = Path(__file__).resolve().parents[2]
    environment = dict(os.environ, TANDEM=str(Path(arguments.tandem).resolve()))
    for folder in sorted((root / "tests/golden/models").iterdir()):
        for method in ("lora", "full"):
            with tempfile.TemporaryDirectory() as output:
                subprocess.run([root / "launch/tandem", "-n", "2", "train", root / "tests/golden/golden.ini", "--model.path", folder,
                                "--data.train", folder / "data.jsonl", "--method.type", method, "--model.dtype", "fp32", "--output.dir",
                                output, "--optimizer.learning_rate", "1e-2", "--training.max_steps", "4"],
                               check=True, env=environment, stdout=subprocess.PIPE)
                print(f"{folder.name}, {method}")
                arguments.data = str(folder / "data.jsonl")
                arguments.model = str(folder) if method == "lora" else f"{output}/model"
                arguments.adapter = f"{output}/adapter" if method == "lora" else None
                (check_adapter if method == "lora" else check_model)(arguments)
                check_logits(arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, check, words in (("adapter", check_adapter, ("model", "adapter", "data")), ("model", check_model, ("model", "data")),
                               ("generate", check_generate, ("model",)), ("logits", check_logits, ("model", "data")), ("tiny", check_tiny, ())):
        command = commands.add_parser(name)
        for word in words:
            command.add_argument(word)
        command.add_argument("--tandem", default="build/tandem")
        command.set_defaults(check=check)
        if name in ("generate", "logits"):
            command.add_argument("--adapter")
        if name == "generate":
            command.add_argument("--prompt", required=True)
        if name in ("logits", "tiny"):
            command.add_argument("--print-logits", default="build/tests/golden/print_logits")
    arguments = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    arguments.check(arguments)


if __name__ == "__main__":
    main()
