"""What is wrong with what earlier runs left, with GGUF files and with the place that is written to."""

import shutil
import struct

import workspace
from breaking import all_of, edit, flip, keys, line, remove, replace, truncate, write

GGUF = "model.gguf"
STEP1, STEP2 = "run/checkpoints/step-1.h5", "run/checkpoints/step-2.h5"
ON = "train run.ini --training.max_steps 3"


def gguf(name, action, *parts):
    return (f"gguf: {name}", action, f"import {GGUF} new", 3, [GGUF, *parts])


def number(offset, kind, value):
    """The little-endian number at a fixed place of the header becomes `value`."""
    size = struct.calcsize(kind)
    return edit(GGUF, lambda c: c[:offset] + struct.pack("<" + kind, value) + c[offset + size:])


def after(text, kind, value, skip=4):
    """The number `skip` bytes (its type code) behind `text`."""
    def change(content):
        at = content.index(text) + len(text) + skip
        return content[:at] + struct.pack("<" + kind, value) + content[at + struct.calcsize(kind):]
    return edit(GGUF, change)


def both(breaker, *arguments):
    return all_of(breaker(STEP1, *arguments), breaker(STEP2, *arguments))


def state(name, action, code, *parts, command=ON):
    return (f"checkpoint: {name}", action, command, code, parts)


def flip_factor(folder):
    """One bit inside the trained factor: the adapter that the run wrote has the same bytes."""
    header, data = workspace.read_header(folder / "run/adapter/adapter_model.safetensors")
    first = header[workspace.FACTOR_A]["data_offsets"][0]
    flip(STEP2, 5, data[first:first + 32])(folder)


def only_newest(action):
    return all_of(remove(STEP1), action)


def copy(source, target):
    def act(folder):
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / source, folder / target)
    return act


CASES = [
    ("gguf: trained, cut in the data", truncate(GGUF, -64), f"train run.ini --model.path {GGUF}", 3, [GGUF, "truncated"]),
    ("gguf: trained, no layers", after(b"llama.block_count", "I", 0), f"train run.ini --model.path {GGUF}", 3, [GGUF, "llama.block_count"]),
    ("gguf: tokenized, empty", write(GGUF, ""), f"tokenize --model {GGUF}", 3, [GGUF]),
    gguf("empty", write(GGUF, "")),
    gguf("text", write(GGUF, "this is no model at all, but long enough to hold a header")),
    gguf("other byte order", number(4, "I", 3 << 24)),
    gguf("version 9", number(4, "I", 9), "9"),
    gguf("tensors without end", number(8, "Q", 2**60)),
    gguf("keys without end", number(16, "Q", 2**60)),
    gguf("more keys than there are", number(16, "Q", 21)),
    gguf("string without end", number(24, "Q", 2**62)),
    gguf("unknown type of a value", number(52, "I", 77), "77"),
    gguf("cut in the header", truncate(GGUF, 300)),
    gguf("cut in the data", truncate(GGUF, -64), "truncated"),
    gguf("no architecture", replace(GGUF, "general.architecture", "general.architectura"), "general.architecture"),
    gguf("unknown architecture", replace(GGUF, b"\5\0\0\0\0\0\0\0llama", b"\5\0\0\0\0\0\0\0mamba"), "mamba"),
    gguf("no layers", after(b"llama.block_count", "I", 0), "llama.block_count"),
    gguf("more layers than tensors", after(b"llama.block_count", "I", 3), "blk.2."),
    gguf("layers without end", after(b"llama.block_count", "I", 2**31 - 1)),
    gguf("other width than the tensors", after(b"llama.feed_forward_length", "I", 65), "ffn_"),
    gguf("heads do not divide", after(b"llama.attention.head_count", "I", 3)),
    gguf("key missing", replace(GGUF, "llama.embedding_length", "llama.embedding_lengte"), "llama.embedding_length"),
    gguf("key of another type", after(b"llama.block_count", "I", 6, 0), "llama.block_count"),
    gguf("tensor missing", replace(GGUF, "blk.1.attn_q.weight", "blk.1.attn_Q.weight"), "blk.1.attn_q.weight"),
    gguf("tensor twice", replace(GGUF, "blk.1.attn_q.weight", "blk.1.attn_k.weight"), "blk.1.attn_k.weight"),
    gguf("unknown type of a tensor", after(b"blk.1.attn_q.weight", "I", 250, 4 + 16), "blk.1.attn_q.weight"),
    gguf("offset beyond the file", after(b"blk.1.attn_q.weight", "Q", 2**40, 4 + 16 + 4), "blk.1.attn_q.weight"),
    gguf("unknown pre-tokenizer", replace(GGUF, "llama-bpe", "lama3-bpe"), "tokenizer.ggml.pre", "lama3-bpe"),
    gguf("unknown tokenizer", replace(GGUF, "gpt2", "bert"), "tokenizer.ggml.model", "bert"),
    # checkpoints: step 1 and 2 of a good run are there
    state("newest and older damaged", both(truncate, 0.5), 3, "run/checkpoints", "damaged", "checkpoint.resume = none"),
    state("both empty", both(write, ""), 3, "run/checkpoints", "checkpoint.resume = none"),
    state("both are text", both(write, "no checkpoint"), 3, "run/checkpoints", "not an HDF5 file"),
    state("bit flipped in a tensor", only_newest(flip_factor), 3, STEP2, "lora_A", "checksum"),
    state("bit flipped in the number of steps", only_newest(flip(STEP2, 32, b"step\0")), 3, STEP2, "header"),
    state("bit flipped in a checksum", only_newest(flip(STEP2, 0, b"xxh3")), 3, STEP2),
    state("only one, cut", only_newest(truncate(STEP2, -1)), 3, STEP2),
    state("only one, signature flipped", only_newest(flip(STEP2, 1)), 3, STEP2, "not an HDF5 file"),
    state("only one, name of a tensor", only_newest(replace(STEP2, b"xxh3", b"xxh4")), 3, STEP2),
    state("given by name and cut", truncate(STEP2, 0.7), 3, STEP2, command=f"{ON} --checkpoint.resume {STEP2}"),
    state("given by name and another file", write("other.h5", "text"), 3, "other.h5", command=f"{ON} --checkpoint.resume other.h5"),
    state("a token file", copy("model.gguf", "run/checkpoints/step-9.h5"), 3, "step-9.h5",
          command=f"{ON} --checkpoint.resume run/checkpoints/step-9.h5"),
    state("of another base", flip("model/model.safetensors", 0.999), 3, STEP2, "another base model"),
    state("of this base in other blocks", all_of(), 3, STEP2, "in full precision, not in nf4/64/double", command=ON + " --method.type qlora"),
    state("of another base, whose sizes differ", keys("model/config.json", rope_theta=5000.0), 3, STEP2, "another base model"),
    state("of other targets", replace("run.ini", "q_proj", "v_proj"), 3, STEP2, "v_proj"),
    state("of more targets", replace("run.ini", "q_proj", "q_proj,v_proj"), 3, STEP2, "v_proj"),
    state("of another rank", replace("run.ini", "r = 2", "r = 4"), 3, STEP2, "lora_A", "[2, 16]", "[4, 16]"),
    state("of another optimizer", line("run.ini", 3, "dtype = fp32\n[optimizer]\nname = adamw\n[method]\ntype = full"), 3, STEP2),
    state("beyond the end", lambda folder: None, 2, STEP2, "2 steps", "training.max_steps", command="train run.ini --training.max_steps 1"),
    # what cannot be written, found out while running: no file may exceed 2 or 8 KiB
    ("full disk: token file", lambda folder: None, "limited:2 train run.ini --output.dir fresh", 1, ["fresh/cache"]),
    ("full disk: checkpoint", lambda folder: None, f"limited:8 {ON}", 1, ["run/checkpoints/step-3.h5"]),
    ("full disk: import", lambda folder: None, f"limited:8 import {GGUF} new", 1, ["new"]),
    ("full disk: quantize", lambda folder: None, "limited:8 quantize model new", 1, ["new"]),
    ("full disk: merge", lambda folder: None, "limited:8 merge --model model --adapter adapter new", 1, ["new"]),
    ("output: a directory in the way of the log", lambda folder: ((folder / "fresh/log.jsonl/x").mkdir(parents=True)),
     "train run.ini --output.dir fresh", 2, ["fresh/log.jsonl"]),
    ("output: a file in the way of the adapter", all_of(remove("run/adapter"), write("run/adapter", "mine")), ON, 2, ["run/adapter"]),
    ("output: a file in the way of the checkpoints", write("fresh/checkpoints", "mine"), "train run.ini --output.dir fresh", 2,
     ["fresh/checkpoints"]),
]
