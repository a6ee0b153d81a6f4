"""The small good run that every case starts from: a model, an adapter, data of every format, a GGUF file, run.ini."""

import json
import os
import random
import shutil
import struct
from pathlib import Path

VOCABULARY, HIDDEN, FFN = 257, 16, 24  # of the byte-level tokenizer in configs/tiny
QUERY, KEY = "model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.k_proj"
BASE = {
    "model.embed_tokens.weight": [VOCABULARY, HIDDEN],
    "model.layers.0.input_layernorm.weight": [HIDDEN],
    QUERY + ".weight": [HIDDEN, HIDDEN],
    KEY + ".weight": [HIDDEN // 2, HIDDEN],
    "model.layers.0.self_attn.v_proj.weight": [HIDDEN // 2, HIDDEN],
    "model.layers.0.self_attn.o_proj.weight": [HIDDEN, HIDDEN],
    "model.layers.0.post_attention_layernorm.weight": [HIDDEN],
    "model.layers.0.mlp.gate_proj.weight": [FFN, HIDDEN],
    "model.layers.0.mlp.up_proj.weight": [FFN, HIDDEN],
    "model.layers.0.mlp.down_proj.weight": [HIDDEN, FFN],
    "model.norm.weight": [HIDDEN],
}
FACTOR_A, FACTOR_B = (f"base_model.model.{QUERY}.lora_{factor}.weight" for factor in "AB")
ADAPTER = {FACTOR_A: [2, HIDDEN], FACTOR_B: [HIDDEN, 2]}
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCABULARY, "hidden_size": HIDDEN,
    "intermediate_size": FFN, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "hidden_act": "silu",
    "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True, "eos_token_id": 256,
}
RUN = """[model]
path = model
dtype = fp32

[data]
train = data.jsonl
validation = data.jsonl
max_seq_length = 256

[lora]
r = 2
target_modules = q_proj

[training]
global_batch_size = 2
max_steps = 2

[checkpoint]
every = 1

[output]
dir = run
"""
MACHINE = """# two cards
[gpu]
memory = 24GiB
bf16_tflops = 71
memory_bandwidth = 936
[node]
gpus = 2
link_bandwidth = 12
"""
TURNS = ["A question.", "An answer."]
DATA = {
    "data.jsonl": [{"messages": [{"role": "user", "content": TURNS[0]}, {"role": "assistant", "content": TURNS[1]}]}] * 4,
    "sharegpt.jsonl": [{"conversations": [{"from": "human", "value": TURNS[0]}, {"from": "gpt", "value": TURNS[1]}]}] * 4,
    "alpaca.jsonl": [{"instruction": TURNS[0], "input": "", "output": TURNS[1]}] * 4,
    "text.jsonl": [{"text": "Plain text."}] * 4,
    "tokens.jsonl": [{"input_ids": [1, 2, 3, 4], "labels": [-100, 2, 3, 4]}] * 4,
}


def write_safetensors(path: Path, shapes: dict, dtype: str = "F32") -> None:
    numbers = random.Random(7)
    header, data = {}, b""
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        values = struct.pack(f"<{count}f", *[numbers.uniform(-0.1, 0.1) for _ in range(count)])
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    write_header(path, header, data)


def write_header(path: Path, header: dict, data: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def read_header(path: Path) -> tuple:
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8:8 + length]), content[8 + length:]


def make(folder: Path, root: Path) -> None:
    """The files of a good run, without the run itself."""
    model, adapter = folder / "model", folder / "adapter"
    model.mkdir(parents=True)
    adapter.mkdir()
    (model / "config.json").write_text(json.dumps(CONFIG, indent=1))
    write_safetensors(model / "model.safetensors", BASE)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(root / "configs/tiny" / name, model / name)
    shutil.copy(root / "tests/tokenizer/templates/chatml.jinja", model / "chat_template.jinja")
    (adapter / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "bias": "none"}, indent=1))
    write_safetensors(adapter / "adapter_model.safetensors", ADAPTER)
    for name, records in DATA.items():
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    shutil.copy(root / "tests/io/golden/byte_level.gguf", folder / "model.gguf")
    (folder / "run.ini").write_text(RUN)
    (folder / "machine.ini").write_text(MACHINE)


def snapshot(folder: Path) -> dict:
    """Every name below `folder`, with the contents of files."""
    found = {}
    for directory, directories, files in os.walk(folder):
        for name in directories + files:
            path = Path(directory) / name
            found[str(path.relative_to(folder))] = path.read_bytes() if path.is_file() else None
    return found
