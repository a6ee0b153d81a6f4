"""Tokenized samples with masks, in tandem's `tokenized` JSONL format.

Rows of ROW tokens are filled exactly by samples that follow each other, and every global batch is ROWS rows of BATCH
samples: so BATCH unpacked sequences and ROWS packed rows are the same global batch.
"""

import json
import random
from pathlib import Path

ROW = 24
ROWS = 4
BATCH = 8
SAMPLES = 36  # the last global batch of an epoch is smaller
IGNORED = -100


def row_lengths(rng: random.Random) -> list[list[int]]:
    """Lengths of BATCH samples in ROWS rows, none shorter than 3."""
    rows = []
    for count in rng.sample([3, 1, 2, 2], 4):
        cuts = sorted(rng.sample(range(1, ROW // 3), count - 1))
        edges = [0] + [3 * cut for cut in cuts] + [ROW]
        lengths = [b - a for a, b in zip(edges, edges[1:])]
        for i in range(count - 1):  # off the multiples of 3
            shift = rng.randint(0, min(2, lengths[i + 1] - 3))
            lengths[i], lengths[i + 1] = lengths[i] + shift, lengths[i + 1] - shift
        rows.append(lengths)
    return rows


def mask(ids: list[int], rng: random.Random) -> list[int]:
    """An untrained prompt, sometimes a gap; sometimes a label at position 0, which never counts."""
    labels = list(ids)
    prompt = rng.randint(1, max(1, len(ids) // 2))
    for i in range(rng.randint(0, 1), prompt):
        labels[i] = IGNORED
    if len(ids) > 8 and rng.random() < 0.5:
        gap = rng.randint(prompt + 1, len(ids) - 3)
        labels[gap] = labels[gap + 1] = IGNORED
    return labels


def make(seed: int, vocabulary: int) -> list[dict]:
    rng = random.Random(seed)
    lengths = []
    while len(lengths) < SAMPLES:
        batch = row_lengths(rng)
        if SAMPLES - len(lengths) < BATCH:  # the last rows: two of two samples
            batch = [row for row in batch if len(row) == 2]
        lengths += [length for row in batch for length in row]
    samples = []
    for number, length in enumerate(lengths):
        ids = [rng.randrange(vocabulary) for _ in range(length)]
        sample = {"input_ids": ids}
        if number % 7 != 3:  # a missing key means that all of input_ids are trained
            sample["labels"] = mask(ids, rng)
        samples.append(sample)
    return samples


def write(samples: list[dict], path: Path) -> None:
    path.write_text("".join(json.dumps(sample, separators=(",", ":")) + "\n" for sample in samples))


def labels_of(sample: dict) -> list[int]:
    return sample.get("labels", sample["input_ids"])


def trained(sample: dict) -> int:
    return sum(label != IGNORED for label in labels_of(sample)[1:])


def batches(samples: list[dict], size: int = BATCH) -> list[list[dict]]:
    return [samples[i:i + size] for i in range(0, len(samples), size)]
