"""Makes a transformers model compute in float64 throughout.

`model.double()` alone is not enough: transformers' RMSNorm and rotary embedding cast to float32 inside. Their float64
replacements below are what the fp64 figures rest on; make_golden.py checks that they agree with the unmodified fp32 model.
"""

import torch


def rms_norm(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    eps = module.variance_epsilon
    return module.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps))


def convert(model: torch.nn.Module) -> torch.nn.Module:
    """In place; returns the model, which must not have been cast before."""
    rotations = {id(module): module.original_inv_freq.clone() for module in model.modules() if hasattr(module, "original_inv_freq")}
    model.double()
    for module in model.modules():
        kind = type(module).__name__
        if kind.endswith("RMSNorm"):
            module.forward = lambda x, module=module: rms_norm(module, x)
        elif kind.endswith("RotaryEmbedding"):
            # As in every published model: frequencies, and angles = position x frequency, are rounded to fp32.
            frequencies = rotations[id(module)]

            def rotary(x, position_ids, frequencies=frequencies):
                angles = (position_ids[..., None].float() * frequencies).double()
                angles = torch.cat((angles, angles), dim=-1)
                return angles.cos(), angles.sin()

            module.forward = rotary
    return model
