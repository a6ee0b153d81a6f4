"""Tiny random models, one per architectural trait, written as Hugging Face directories."""

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

COMMON = {
    "hidden_act": "silu",
    "hidden_size": 32,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.02,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "vocab_size": 160,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "torch_dtype": "float32",
    "use_cache": True,
}


@dataclass
class Spec:
    """`config` is the text of config.json; keys mapped to None in `changes` are left out of it."""

    name: str
    architecture: str
    model_type: str
    changes: dict = field(default_factory=dict)
    shards: int = 1
    full_steps: bool = False  # also store a full fine-tuning trajectory

    @property
    def config(self) -> dict:
        config = {"architectures": [self.architecture], "model_type": self.model_type, **COMMON, **self.changes}
        return {key: value for key, value in config.items() if value is not None}


LLAMA = ("LlamaForCausalLM", "llama")
SPECS = [
    # "rope_scaling": null is in most published Llama configurations: written by `nulls` below.
    Spec("llama_gqa", *LLAMA, {"attention_bias": False, "mlp_bias": False, "pretraining_tp": 1}, full_steps=True),
    # SmolLM: tied head, an odd number of heads, one key/value head.
    Spec("llama_tied", *LLAMA,
         {"tie_word_embeddings": True, "hidden_size": 48, "num_attention_heads": 3, "num_key_value_heads": 1,
          "intermediate_size": 72, "vocab_size": 130, "rope_theta": 100000, "head_dim": 16}, full_steps=True),
    # Wavelengths 6.3, 19.9, 62.8, ...: one below, one inside and the others above the interpolated band [8, 32].
    Spec("llama3_rope", *LLAMA,
         {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
          "rope_scaling": {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                           "original_max_position_embeddings": 32, "rope_type": "llama3"}}),
    # A window smaller than the sequences.
    Spec("mistral_window", "MistralForCausalLM", "mistral", {"sliding_window": 8, "vocab_size": 128, "attention_dropout": 0.0}),
    # Biases on q, k, v; a window in the configuration that use_sliding_window turns off.
    Spec("qwen2_bias", "Qwen2ForCausalLM", "qwen2",
         {"rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "sliding_window": 4, "use_sliding_window": False,
          "max_window_layers": 1, "vocab_size": 150}, full_steps=True),
    # Norms on q and k, head_dim twice hidden / heads, and the configuration's keys as transformers 5 writes them.
    Spec("qwen3_norm", "Qwen3ForCausalLM", "qwen3",
         {"rms_norm_eps": 1e-6, "head_dim": 16, "tie_word_embeddings": True, "vocab_size": 140, "attention_bias": False,
          "use_sliding_window": False, "sliding_window": None, "rope_theta": None, "torch_dtype": None, "dtype": "float32",
          "layer_types": ["full_attention", "full_attention"],
          "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"}}, full_steps=True),
    # No pad_token_id: transformers leaves the embedding of that token out of the gradient, tandem knows no padding.
    # Llama 2: as many key/value heads as heads, which its configuration does not say; two shards.
    Spec("llama2_mha", *LLAMA, {"num_key_value_heads": None, "rope_theta": None, "vocab_size": 128}, shards=2),
    # head_dim smaller than hidden / heads and not a power of two.
    Spec("llama_head_dim", *LLAMA, {"head_dim": 6, "num_key_value_heads": 1, "vocab_size": 131}),
]
NULLS = {"llama_gqa": ["rope_scaling"], "llama2_mha": ["rope_scaling"], "qwen3_norm": ["sliding_window"]}


def seed_of(name: str) -> int:
    """A seed from a text that does not depend on Python's hash randomisation."""
    return zlib.crc32(name.encode())


def random_weight(name: str, shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Norm weights around 1; biases and matrices large enough that attention is far from uniform and logits spread."""
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    if "norm" in name:
        return 1.0 + 0.25 * noise
    if name.endswith("bias"):
        return 0.5 * noise
    if "embed_tokens" in name:
        return 0.6 * noise
    gain = 1.6 if ("q_proj" in name or "k_proj" in name) else 1.0
    return gain * noise / shape[-1] ** 0.5


def write(spec: Spec, directory: Path) -> None:
    """config.json and safetensors, fp32."""
    directory.mkdir(parents=True, exist_ok=True)
    config = dict(spec.config, **{key: None for key in NULLS.get(spec.name, [])})
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(directory))
    generator = torch.Generator().manual_seed(seed_of(spec.name))
    tensors = {name: random_weight(name, parameter.shape, generator).float() for name, parameter in model.named_parameters()}
    if spec.shards == 1:
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
        return
    names = list(tensors)
    weight_map = {}
    for shard in range(spec.shards):
        part = names[shard * len(names) // spec.shards:(shard + 1) * len(names) // spec.shards]
        file = f"model-{shard + 1:05}-of-{spec.shards:05}.safetensors"
        save_file({name: tensors[name] for name in part}, directory / file, metadata={"format": "pt"})
        weight_map.update({name: file for name in part})
    total = sum(tensor.numel() * 4 for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


def load(directory: Path) -> torch.nn.Module:
    """The model exactly as transformers computes it, in fp32."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="sdpa")
    return model.train()  # no dropout in any of these
