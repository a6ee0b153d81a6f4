"""Losses, gradients and training steps of a global batch, normalised by its trained tokens."""

import math

import torch
import transformers

from . import samples as data


def logits_of(model, sample: dict) -> torch.Tensor:
    """[tokens, vocabulary]; the sequence alone, without padding."""
    return model(input_ids=torch.tensor([sample["input_ids"]])).logits[0]


def loss_sum(model, sample: dict) -> torch.Tensor:
    """Sum of the trained tokens' losses, in the model's type."""
    labels = torch.tensor(data.labels_of(sample))
    return torch.nn.functional.cross_entropy(logits_of(model, sample)[:-1], labels[1:], ignore_index=data.IGNORED, reduction="sum")


@torch.no_grad()
def mean_loss(model, samples: list[dict]) -> float:
    total = math.fsum(loss_sum(model, sample).item() for sample in samples)
    return total / sum(data.trained(sample) for sample in samples)


def backward(model, batch: list[dict]) -> float:
    """Gradients of the mean over the batch's trained tokens, accumulated sequence by sequence; returns that mean."""
    count = sum(data.trained(sample) for sample in batch)
    total = 0.0
    for sample in batch:
        loss = loss_sum(model, sample)
        (loss / count).backward()
        total += loss.item()
    return total / count


def schedule_of(options: dict, optimizer, steps: int):
    """The transformers schedule that tandem's schedule.* keys name."""
    warmup = int(options.get("schedule.warmup_steps", 0))
    if "schedule.warmup_ratio" in options:
        warmup = math.ceil(steps * float(options["schedule.warmup_ratio"]))
    kind = options["schedule.type"]
    if kind == "constant":
        return transformers.get_constant_schedule_with_warmup(optimizer, warmup)
    if kind == "linear":
        return transformers.get_linear_schedule_with_warmup(optimizer, warmup, steps)
    if "schedule.min_lr_ratio" in options:
        return transformers.get_cosine_with_min_lr_schedule_with_warmup(
            optimizer, warmup, steps, min_lr_rate=float(options["schedule.min_lr_ratio"]))
    return transformers.get_cosine_schedule_with_warmup(optimizer, warmup, steps)


def train(model, batches: list[list[dict]], options: dict, adamw=torch.optim.AdamW) -> list[dict]:
    """An AdamW (torch's, or another with its arguments; it is left as `model.optimizer`) with clipping; `options` are tandem's keys.
    Returns what tandem's log has, step by step."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.optimizer = optimizer = adamw(parameters, lr=float(options["optimizer.learning_rate"]), betas=(0.9, 0.999),
                                        eps=float(options["optimizer.eps"]), weight_decay=float(options["optimizer.weight_decay"]))
    schedule = schedule_of(options, optimizer, len(batches))
    log = []
    for batch in batches:
        optimizer.zero_grad()
        loss = backward(model, batch)
        norm = torch.nn.utils.clip_grad_norm_(parameters, float(options["optimizer.max_grad_norm"])).item()
        log.append({"step": len(log) + 1, "loss": loss, "grad_norm": norm, "learning_rate": schedule.get_last_lr()[0],
                    "tokens": sum(len(sample["input_ids"]) for sample in batch),
                    "trained_tokens": sum(data.trained(sample) for sample in batch)})
        optimizer.step()
        schedule.step()
    return log
