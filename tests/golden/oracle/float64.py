"""Makes a transformers model compute in float64 throughout.

`model.double()` alone is not enough: transformers' RMSNorm and rotary embedding cast to float32 inside. Their float64
replacements below are what the fp64 figures rest on; make_golden.py checks that they agree with the unmodified fp32 model.
"""

import math

import torch


def rms_norm(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    eps = module.variance_epsilon
    return module.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps))


def inverse_frequencies(config) -> torch.Tensor:
    """theta^(-2j/d) and, for rope_type llama3, the interpolation of low frequencies (Llama 3.1 reference code)."""
    rope = config.rope_parameters
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    result = torch.tensor([rope["rope_theta"] ** (-2.0 * j / head_dim) for j in range(head_dim // 2)], dtype=torch.float64)
    if rope["rope_type"] == "default":
        return result
    assert rope["rope_type"] == "llama3", rope
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    length = rope["original_max_position_embeddings"]
    for j, frequency in enumerate(result.tolist()):
        turns = length * frequency / (2 * math.pi)  # full turns within the original context
        if turns < low:
            result[j] = frequency / factor
        elif turns <= high:
            smooth = (turns - low) / (high - low)
            result[j] = (1 - smooth) * frequency / factor + smooth * frequency
    return result


def convert(model: torch.nn.Module) -> torch.nn.Module:
    """In place; returns the model."""
    model.double()
    for module in model.modules():
        kind = type(module).__name__
        if kind.endswith("RMSNorm"):
            module.forward = lambda x, module=module: rms_norm(module, x)
        elif kind.endswith("RotaryEmbedding"):
            frequencies = inverse_frequencies(module.config)
            torch.testing.assert_close(frequencies.float(), module.original_inv_freq.float(), rtol=2e-6, atol=0)

            def rotary(x, position_ids, frequencies=frequencies):
                angles = position_ids[..., None].double() * frequencies
                angles = torch.cat((angles, angles), dim=-1)
                return angles.cos(), angles.sin()

            module.forward = rotary
    return model
