"""A tensor in a few numbers: its norm, some elements, and sums of its elements with pseudo-random signs.

The sum of (a - b) with random signs has |a - b|^2 as its expected square, so that the distance of two large tensors can be told from a few such
sums of each (Johnson and Lindenstrauss 1984; signs: Achlioptas 2003), to some per cent where many tensors are taken together.
"""

import numpy as np

from .adapters import fnv1a

SIGNS = 4    # sums of each tensor
SAMPLES = 4  # elements of each tensor


def bits(name: str, count: int) -> np.ndarray:
    """Element i is splitmix64(fnv1a(name) + (i + 1) * golden ratio), as in adapters.uniform."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(name)) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def summary(name: str, tensor: np.ndarray) -> dict:
    """Sum k takes element i with a minus where bit k of bits(name)[i] is set. The samples lie at equal distances."""
    values = tensor.astype(np.float64).ravel()
    random = bits(name, values.size)
    sums = [float(np.where((random >> np.uint64(k)) & np.uint64(1), -values, values).sum()) for k in range(SIGNS)]
    places = [int(values.size * k // SAMPLES) for k in range(SAMPLES)]
    return {"norm": float(np.sqrt(np.square(values).sum())), "sums": sums, "samples": [[place, float(values[place])] for place in places]}
