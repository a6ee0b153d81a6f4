"""PEFT adapters whose factors are functions of their names, so that every gradient is non-trivial."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict

MASK = (1 << 64) - 1


def fnv1a(text: str) -> int:
    result = 0xCBF29CE484222325
    for byte in text.encode():
        result = (result ^ byte) * 0x100000001B3 & MASK
    return result


def uniform(name: str, count: int, bound: float) -> torch.Tensor:
    """Element i is splitmix64(fnv1a(name) + (i + 1) * golden ratio), its upper 24 bits mapped to [-bound, bound).

    Exact in fp32 for a bound that is a power of two, so that the C++ test writes the same adapter.
    """
    key = fnv1a(name)
    values = []
    for i in range(count):
        z = (key + (i + 1) * 0x9E3779B97F4A7C15) & MASK
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
        z ^= z >> 31
        values.append(((z >> 40) * 2.0**-23 - 1.0) * bound)
    return torch.tensor(values, dtype=torch.float32)


def attach(model, r: int, alpha: int, bound_a: float, bound_b: float) -> PeftModel:
    """LoRA on all linear layers of the blocks, factors uniform in [-bound, bound)."""
    config = LoraConfig(r=r, lora_alpha=alpha, lora_dropout=0.0, target_modules="all-linear", bias="none", task_type="CAUSAL_LM")
    peft_model = get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in peft_model.named_parameters():
            if parameter.requires_grad:
                bound = bound_a if "lora_A" in name else bound_b
                name = name.replace(".default.", ".")
                parameter.copy_(uniform(name, parameter.numel(), bound).view_as(parameter))
    return peft_model


def save(peft_model, directory: Path, base: str, by_suffix: bool) -> None:
    """save_pretrained with a configuration that depends neither on this machine nor on set order.

    peft resolves all-linear to full module names; `by_suffix` names the projections, as most published adapters do.
    """
    peft_model.save_pretrained(directory)
    (directory / "README.md").unlink(missing_ok=True)
    path = directory / "adapter_config.json"
    config = json.loads(path.read_text())
    modules = config["target_modules"]
    config["target_modules"] = sorted({name.split(".")[-1] for name in modules} if by_suffix else modules)
    config["base_model_name_or_path"] = base
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def state(peft_model) -> dict[str, torch.Tensor]:
    """The factors under the names of adapter_model.safetensors."""
    return {name: tensor.detach().clone() for name, tensor in get_peft_model_state_dict(peft_model).items()}


def gradients(peft_model) -> dict[str, torch.Tensor]:
    return {name.replace(".default.", "."): parameter.grad.detach().clone()
            for name, parameter in peft_model.named_parameters() if parameter.requires_grad}
