"""Writes golden/quantization.txt: what bitsandbytes makes of numbers that test_quant_golden.cpp makes as well.

    python make_quant_golden.py

needs bitsandbytes (0.50.2), torch and numpy. One line a case, results as CRC-32 of their bytes, or as numbers in hexadecimal:

    map     SIGNED VALUES
    blocks  TYPE BLOCK_SIZE KIND N: CODES ABSMAX FP32 BF16     four-bit blocks; a code a byte; what they dequantise to
    dynamic SIGNED BLOCK_SIZE KIND N: CODES ABSMAX FP32
    scales  N: OFFSET CODES NESTED FP32                        double quantisation of N scales
    adamw   N LR BETA1 BETA2 EPS WEIGHT_DECAY GRAD_SCALE
    step    T: M V M_ABSMAX V_ABSMAX MASTER                    after step T of that
    library ...                                                master [N] after the last step, square roots as the library has them

Square roots are IEEE's but in the last: torch's may come from a vector library that rounds otherwise, and otherwise on another
processor. Negative zeros are hashed as positive ones (the library's paths differ in it), and numbers too small for bf16 have no BF16
(one path flushes them).
"""

import pathlib
import zlib

import numpy as np
import torch
import bitsandbytes.functional as F

torch.set_num_threads(1)  # the order of torch.mean's sum depends on it
library_sqrt = torch.Tensor.sqrt
GAMMA, MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


def words(seed, n):
    """splitmix64 of seed * 2^32 + i."""
    z = (np.uint64(seed) << np.uint64(32)) + np.arange(n, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = (z + np.uint64(1)) * np.uint64(GAMMA)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def bell(seed, n):
    """Sums of four uniform numbers, around 0, of standard deviation 0.58: exact in fp32."""
    w = words(seed, n)
    total = sum((w >> np.uint64(16 * k) & np.uint64(0xFFFF)).astype(np.int64) for k in range(4)) - 131070
    return total.astype(np.float32) * np.float32(2.0**-16)


def numbers(kind, n):
    x = bell(1, n)
    if kind == "tiny":
        x *= np.float32(2.0**-100)
    elif kind == "denormal":
        x *= np.float32(2.0**-128)
    elif kind == "outliers":
        x[::97] *= 1024
    elif kind == "zero":
        x[:] = 0
    elif kind == "half_zero":
        x[: n // 2] = 0
    elif kind == "negative":
        x = -np.abs(x)
    elif kind == "edges":  # between the places of a table of 65536
        x = ((2.0 * np.arange(n) - 1) / 65535 - 1).astype(np.float32)
        x[::256] = 1
    elif kind == "grid":
        x = np.trunc(x * 8) / 8
    return torch.from_numpy(x.astype(np.float32))


def crc(x):
    x = x.contiguous()
    if x.dtype == torch.bfloat16:
        x = (x + torch.zeros((), dtype=torch.bfloat16)).view(torch.int16)
    elif x.dtype == torch.float32:
        x = x + 0.0
    return f"{zlib.crc32(x.numpy().tobytes()):08x}"


def bits(x):
    return f"{int(np.float32(x).view(np.uint32)):08x}"


def blocks(kind, block_size, name, n):
    codes, state = F.quantize_4bit(numbers(name, n), blocksize=block_size, quant_type=kind)
    pairs = codes.flatten()
    single = torch.stack([pairs >> 4, pairs & 15], 1).flatten()[:n]
    state.dtype = torch.float32
    fp32 = F.dequantize_4bit(codes, state)
    state.dtype = torch.bfloat16
    bf16 = "-" if name == "denormal" else crc(F.dequantize_4bit(codes, state))
    return f"blocks {kind} {block_size} {name} {n}: {crc(single)} {crc(state.absmax)} {crc(fp32)} {bf16}"


def dynamic(signed, block_size, name, n):
    code = F.create_dynamic_map(bool(signed), 7, 8)
    codes, state = F.quantize_blockwise(numbers(name, n), code=code, blocksize=block_size)
    return f"dynamic {signed} {block_size} {name} {n}: {crc(codes)} {crc(state.absmax)} {crc(F.dequantize_blockwise(codes, state))}"


def scales(n):
    absmax = torch.from_numpy((words(2, n) & np.uint64(0xFFFFFF)).astype(np.float32) * np.float32(2.0**-28) + np.float32(0.03125))
    offset = absmax.mean()
    codes, state = F.quantize_blockwise(absmax - offset, blocksize=256)
    back = F.dequantize_blockwise(codes, state) + offset
    return f"scales {n}: {bits(offset.item())} {crc(codes)} {crc(state.absmax)} {crc(back)}"


def gradient(step, n):
    """Over eight powers of four; now and then zeros, once nothing else."""
    g = bell(100 + step, n) * np.exp2(-2.0 * (words(200 + step, n) % np.uint64(8)).astype(np.float32)).astype(np.float32)
    if step % 5 == 0:
        g[::3] = 0
    return torch.from_numpy(g * np.float32(0 if step == 7 else 1))


def adamw(n, lr, beta1, beta2, eps, decay, scale, sqrt, steps=24):
    torch.Tensor.sqrt = sqrt
    groups = -(-n // 256)
    m, v = torch.zeros(n, dtype=torch.uint8), torch.zeros(n, dtype=torch.uint8)
    m_absmax, v_absmax = torch.zeros(groups), torch.zeros(groups)
    maps = F.create_dynamic_map(True, 7, 8), F.create_dynamic_map(False, 7, 8)
    master = torch.from_numpy(bell(3, n) * np.float32(0.0625))
    for t in range(1, steps + 1):
        F.optimizer_update_8bit_blockwise("adam", gradient(t, n), master, m, v, beta1, beta2, 0.0, 0.0, eps, t, lr, *maps, m_absmax,
                                          v_absmax, weight_decay=decay, gnorm_scale=scale)
        yield f"step {t}: {crc(m)} {crc(v)} {crc(m_absmax)} {crc(v_absmax)} {crc(master)}", master
    torch.Tensor.sqrt = library_sqrt


def ieee_sqrt(x):
    return torch.from_numpy(np.sqrt(x.numpy()))


def lines():
    for signed in (0, 1):
        yield f"map {signed} {crc(F.create_dynamic_map(bool(signed), 7, 8))}"
    kinds = ("normal", "tiny", "denormal", "outliers", "zero", "half_zero", "negative", "grid")
    for kind in ("nf4", "fp4"):
        for block_size in (32, 64, 128, 4096):
            for name in kinds:
                for n in (8192, 5000, 997):
                    yield blocks(kind, block_size, name, n)
    for signed in (0, 1):
        for block_size in (256, 4096):
            for name in kinds:
                for n in (8192, 1001):
                    yield dynamic(signed, block_size, name, n)
        yield dynamic(signed, 256, "edges", 65536)
    for n in (1, 2, 5, 6, 7, 8, 31, 33, 255, 256, 257, 1000, 4097, 20000, 65537, 131072, 200000):
        yield scales(n)
    for case in ((1000, 1e-3, 0.9, 0.999, 1e-8, 0.0, 1.0), (257, 2e-4, 0.9, 0.95, 1e-8, 0.1, 0.37), (5001, 3e-2, 0.8, 0.99, 1e-6, 0.01, 1 / 3)):
        yield "adamw " + " ".join(repr(x) for x in case)
        for text, _ in adamw(*case, ieee_sqrt):
            yield text
        if case[0] == 257:
            *_, (_, master) = adamw(*case, library_sqrt)
            yield "library " + " ".join(bits(x) for x in master.numpy())


path = pathlib.Path(__file__).with_name("golden") / "quantization.txt"
path.parent.mkdir(exist_ok=True)
path.write_text("".join(line + "\n" for line in lines()))
