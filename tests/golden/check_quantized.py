#!/usr/bin/env python3
"""`tandem quantize` against bitsandbytes, and `tandem merge` against peft; run by hand (docs/verification.md has the figures).

    python check_quantized.py quantize MODEL [--type nf4|fp4] [--single] --tandem build/tandem
        tandem's directory loads in transformers, and every tensor of its file is that of bitsandbytes' own quantisation of MODEL, byte
        for byte; logits are equal to the bit

    python check_quantized.py hashes MODEL
        CRC-32 of what bitsandbytes makes of MODEL (nf4, double quantisation): tests/golden/smollm2/quantized.json

    python check_quantized.py merge MODEL ADAPTER --tandem build/tandem
        every weight against merge_and_unload() of peft, in units of the last place of MODEL's type

Needs requirements.txt and bitsandbytes.
"""

import argparse
import json
import subprocess
import tempfile
import zlib
from pathlib import Path

import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

IDS = torch.tensor([[1, 17, 43, 8, 29, 49, 0, 2, 33, 7, 11]])


def quantized(model: str, kind: str, nested: bool):
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_use_double_quant=nested, bnb_4bit_compute_dtype=torch.bfloat16)
    return AutoModelForCausalLM.from_pretrained(model, quantization_config=config, device_map="cpu")


def load_all(directory: str) -> dict:
    tensors = {}
    for file in sorted(Path(directory).glob("*.safetensors")):
        tensors.update(load_file(file))
    return tensors


def raw(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def saved(model) -> dict:
    """What save_pretrained would write."""
    with tempfile.TemporaryDirectory() as directory:
        model.save_pretrained(directory)
        return load_all(directory)


def check_quantize(arguments) -> None:
    theirs = quantized(arguments.model, arguments.type, not arguments.single)
    with tempfile.TemporaryDirectory() as directory:
        out = f"{directory}/out"
        subprocess.run([arguments.tandem, "quantize", arguments.model, out, "--type", arguments.type, "--double-quant",
                        "false" if arguments.single else "true", "--compute-dtype", "bf16"], check=True)
        ours_tensors, their_tensors = load_all(out), saved(theirs)
        assert set(ours_tensors) == set(their_tensors), set(ours_tensors) ^ set(their_tensors)
        different = [name for name, t in their_tensors.items() if ours_tensors[name].dtype != t.dtype or raw(ours_tensors[name]) != raw(t)]
        size = sum(t.numel() * t.element_size() for t in their_tensors.values())
        print(f"{len(their_tensors)} tensors, {size} bytes: {len(different)} differ {different[:5]}")
        ours, info = AutoModelForCausalLM.from_pretrained(out, device_map="cpu", output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
        with torch.no_grad():
            difference = (ours(IDS).logits.float() - theirs(IDS).logits.float()).abs().max().item()
        print(f"logits of {IDS.numel()} tokens: largest difference {difference}")
        assert not different and difference == 0


def check_hashes(arguments) -> None:
    crc = {}
    for name, tensor in sorted(saved(quantized(arguments.model, "nf4", True)).items()):
        kind = name[name.rindex(".weight"):]  # .weight, .weight.absmax, ...
        crc[kind] = zlib.crc32(raw(tensor), crc.get(kind, 0))
    file = Path(__file__).parent / "smollm2" / "quantized.json"
    file.write_text(json.dumps(crc, indent=2) + "\n")
    print(file.read_text())


def ulps(a: torch.Tensor, b: torch.Tensor) -> int:
    """The largest distance in representable numbers of a's type."""
    integer = {torch.bfloat16: torch.int16, torch.float16: torch.int16, torch.float32: torch.int32}[a.dtype]
    least = torch.iinfo(integer).min

    def ordered(x):
        i = x.contiguous().view(integer).to(torch.int64)
        return torch.where(i < 0, least - i, i)
    return (ordered(a) - ordered(b)).abs().max().item()


def check_merge(arguments) -> None:
    base = AutoModelForCausalLM.from_pretrained(arguments.model, dtype="auto")
    theirs = PeftModel.from_pretrained(base, arguments.adapter).merge_and_unload().state_dict()
    with tempfile.TemporaryDirectory() as directory:
        out = f"{directory}/out"
        subprocess.run([arguments.tandem, "merge", "--model", arguments.model, "--adapter", arguments.adapter, out], check=True)
        ours = load_all(out)
        AutoModelForCausalLM.from_pretrained(out)
        worst, unequal, total = 0, 0, 0
        for name, tensor in ours.items():
            worst = max(worst, ulps(tensor, theirs[name].to(tensor.dtype)))
            unequal += (tensor != theirs[name].to(tensor.dtype)).sum().item()
            total += tensor.numel()
        print(f"{len(ours)} tensors, {total} elements: {unequal} differ from peft's, by {worst} ulp at most")
        assert worst <= 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, check, words in (("quantize", check_quantize, ("model",)), ("hashes", check_hashes, ("model",)),
                               ("merge", check_merge, ("model", "adapter"))):
        command = commands.add_parser(name)
        for word in words:
            command.add_argument(word)
        command.add_argument("--tandem", default="build/tandem")
        command.set_defaults(check=check)
        if name == "quantize":
            command.add_argument("--type", default="nf4")
            command.add_argument("--single", action="store_true", help="without double quantisation")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the order in which the offset of double quantisation is summed
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    arguments.check(arguments)


if __name__ == "__main__":
    main()
