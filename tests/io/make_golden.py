"""Writes tests/io/golden/ with the reference implementations: gguf, numpy, safetensors, tokenizers.

ggml_blocks.safetensors     random blocks of every decodable type and what gguf.dequantize makes of them
library.safetensors         a file as the safetensors library lays it out
byte_level.gguf             a llama with byte-level BPE, llama3 rotary scaling, five block types, its own head
sentencepiece.gguf          a llama with SentencePiece BPE (scores, no merges), tied head
*.expected.safetensors      their tensors under Hugging Face names, fp32
*.expected.json             texts and their token ids; keys of config.json

    python make_golden.py            (gguf 0.19, safetensors 0.8, tokenizers 0.23)
"""
import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

OUT = Path(__file__).parent / "golden"
Q = gguf.GGMLQuantizationType
HIDDEN, HEADS, KV_HEADS, HEAD_DIM, INTERMEDIATE, LAYERS, THETA = 32, 2, 1, 16, 64, 2, 500000.0
TEXTS = ["", "a", "Hello world, hello there!", "  two  spaces ", "tab\tnew\n\nline\r\n", "123 4567 8.90", "don't we've I'LL", "naïve café", "北京 日本語",
         "🙂👩‍👩‍👧", "<|end|>", "the<|end|>the <tool> other", "<s> </s><unk>", "<0x0A>", " the thin then", "\x00\x7f"]


def blocks_of_every_type(random):
    tensors = {}
    for kind in (Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K):
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        count = max(1, 1024 // elements)
        blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
        # fp16 scales must be finite; one is subnormal, one negative.
        places = {Q.F16: [0], Q.BF16: [0], Q.Q4_1: [0, 2], Q.Q5_1: [0, 2], Q.Q2_K: [80, 82], Q.Q3_K: [108], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}
        for place in places.get(kind, [0]):
            scales = random.normal(0, 0.05, count).astype(np.float16)
            scales[0], scales[-1] = np.float16(6e-8), np.float16(-1.5)
            blocks[:, place:place + 2] = scales.view(np.uint8).reshape(count, 2)
        tensors[f"{kind.name}.blocks"] = blocks.reshape(-1)
        with np.errstate(all="ignore"):
            tensors[f"{kind.name}.values"] = gguf.dequantize(blocks.reshape(1, -1), kind).astype(np.float32).reshape(-1)
        assert np.isfinite(tensors[f"{kind.name}.values"]).all(), kind
    return tensors


def unpermuted(w, heads):
    """Rows (2, D/2) of each head from the interleaved (D/2, 2)."""
    return w.reshape(heads, -1, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def add_tensor(writer, expected, name, hf_name, shape, kind, random, heads=0):
    data = random.normal(0, 0.3, shape).astype(np.float32)
    stored = data if kind == Q.F32 else gguf.quantize(data, kind)
    writer.add_tensor(name, stored, raw_dtype=None if kind in (Q.F32, Q.F16) else kind)
    values = gguf.dequantize(stored, kind).astype(np.float32)
    expected[hf_name] = np.ascontiguousarray(unpermuted(values, heads) if heads else values)


def add_weights(writer, vocabulary, tied, random):
    expected = {}
    put = lambda *args, **more: add_tensor(writer, expected, *args, random=random, **more)
    put("token_embd.weight", "model.embed_tokens.weight", (vocabulary, HIDDEN), Q.Q8_0)
    q, kv = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    for i in range(LAYERS):
        blk, layer = f"blk.{i}.", f"model.layers.{i}."
        put(blk + "attn_norm.weight", layer + "input_layernorm.weight", (HIDDEN,), Q.F32)
        put(blk + "attn_q.weight", layer + "self_attn.q_proj.weight", (q, HIDDEN), Q.Q4_1, heads=HEADS)
        put(blk + "attn_k.weight", layer + "self_attn.k_proj.weight", (kv, HIDDEN), Q.Q8_0, heads=KV_HEADS)
        put(blk + "attn_v.weight", layer + "self_attn.v_proj.weight", (kv, HIDDEN), Q.F16)
        put(blk + "attn_output.weight", layer + "self_attn.o_proj.weight", (HIDDEN, q), Q.Q5_0)
        put(blk + "ffn_norm.weight", layer + "post_attention_layernorm.weight", (HIDDEN,), Q.F32)
        put(blk + "ffn_gate.weight", layer + "mlp.gate_proj.weight", (INTERMEDIATE, HIDDEN), Q.Q4_0)
        put(blk + "ffn_up.weight", layer + "mlp.up_proj.weight", (INTERMEDIATE, HIDDEN), Q.Q5_1)
        put(blk + "ffn_down.weight", layer + "mlp.down_proj.weight", (HIDDEN, INTERMEDIATE), Q.BF16)
    put("output_norm.weight", "model.norm.weight", (HIDDEN,), Q.F32)
    if not tied:
        put("output.weight", "lm_head.weight", (vocabulary, HIDDEN), Q.Q4_0)
    return expected


def llama_writer(name, file):
    writer = gguf.GGUFWriter(OUT / file, "llama")
    writer.add_name(name)
    writer.add_context_length(2048)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INTERMEDIATE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_rope_freq_base(THETA)
    writer.add_layer_norm_rms_eps(1e-5)
    return writer


def llama3_divisors(factor=8.0, low=1.0, high=4.0, original=8192):
    wavelength = 2 * np.pi * THETA ** (np.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    smooth = (original / wavelength - low) / (high - low)
    middle = 1 / ((1 - smooth) / factor + smooth)
    return np.where(wavelength < original / high, 1.0, np.where(wavelength > original / low, factor, middle)).astype(np.float32)


def finish(writer, stem, expected, tokenizer, config):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, OUT / f"{stem}.expected.safetensors")
    ids = [tokenizer.encode(text).ids for text in TEXTS]
    whole = json.loads(tokenizer.to_str())
    merges = [" ".join(merge) for merge in whole["model"]["merges"]]
    template = whole["post_processor"]["single"]
    (OUT / f"{stem}.expected.json").write_text(json.dumps({"texts": TEXTS, "ids": ids, "config": config, "merges": merges, "template": template}) + "\n")


def byte_alphabet():
    """GPT-2's printable stand-ins for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(others)}


def byte_level(random):
    alphabet = byte_alphabet()
    tokens = ["<|begin|>", "<|end|>"] + [alphabet[b] for b in range(256)]
    merges = ["t h", "th e", "Ġ the", "i n", "Ġ a", "h e", "he l", "hel l", "hell o", "l d", "o r", "w or", "wor ld", "Ġ Ġ", "1 2", "12 3", "Ċ Ċ", "č Ċ"]
    tokens += [merge.replace(" ", "") for merge in merges]
    types = [3, 3] + [1] * (len(tokens) - 2)
    tokens += ["<tool>", f"[PAD{len(tokens) + 1}]"]
    types += [4, 5]

    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens[:-1])}, [tuple(m.split(" ")) for m in merges], ignore_merges=True))
    split = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(split), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in tokens[:2]])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 0)])

    writer = llama_writer("Tiny byte-level", "byte_level.gguf")
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_chat_template("{% for message in messages %}{{ message['content'] }}<|end|>{% endfor %}")
    writer.add_tensor("rope_freqs.weight", llama3_divisors())
    expected = add_weights(writer, len(tokens), False, random)
    config = {"model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": INTERMEDIATE, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
              "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM, "rope_theta": THETA, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
              "vocab_size": len(tokens), "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None, "torch_dtype": "float32",
              "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                               "original_max_position_embeddings": 8192}}
    finish(writer, "byte_level", expected, tokenizer, config)


def merges_by_score(tokens, scores):
    """Every split of a token into two tokens, best score first; then the longer parts; then the smaller ids."""
    ids = {t: i for i, t in enumerate(tokens)}
    found = []
    for token, score in zip(tokens, scores):
        pairs = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in ids and token[i:] in ids]
        found += [(l, r, score) for l, r in sorted(pairs, key=lambda p: (ids[p[0]], ids[p[1]]))]
    return [(l, r) for l, r, _ in sorted(found, key=lambda m: (m[2], len(m[0]), len(m[1])), reverse=True)]


def sentencepiece(random):
    pieces = ["▁t", "he", "▁the", "in", "▁a", "th", "▁th", "re", "▁there", "ere", "he", "ll", "ello", "▁hello", "or", "ld", "wor", "world", "▁world", "▁▁", "12", "é"]
    pieces = list(dict.fromkeys(pieces))
    characters = list("▁etaoinshrdlucmfwypvbgkjqxz,.!'0123456789") + ["H", "I", "ï"]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + pieces + [c for c in characters if c not in pieces]
    scores = [0.0, 0.0, 0.0] + [0.0] * 256 + [-float(i) - 1 for i in range(len(tokens) - 259)]
    scores[tokens.index("world")] = scores[tokens.index("▁world")] = -30.0  # a tie
    types = [2, 3, 3] + [6] * 256 + [1] * (len(tokens) - 259)
    tokens.append("<tool>")
    scores.append(-1000.0)
    types.append(4)

    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges_by_score(tokens, scores), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in tokens[:3]])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])

    writer = llama_writer("Tiny Mistral", "sentencepiece.gguf")
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(2.0)
    expected = add_weights(writer, len(tokens), True, random)
    config = {"model_type": "mistral", "tie_word_embeddings": True, "vocab_size": len(tokens), "bos_token_id": 1, "eos_token_id": 2, "sliding_window": None,
              "rope_scaling": {"rope_type": "linear", "factor": 2.0}}
    finish(writer, "sentencepiece", expected, tokenizer, config)


def main():
    OUT.mkdir(exist_ok=True)
    random = np.random.default_rng(20240601)
    save_file(blocks_of_every_type(random), OUT / "ggml_blocks.safetensors")
    save_file({"b.weight": np.arange(6, dtype=np.float16).reshape(2, 3), "a.bias": np.arange(3, dtype=np.float32), "z": np.array([[7]], dtype=np.int64),
               "m": np.array([1, 2, 3], dtype=np.uint8), "c.weight": np.arange(2, dtype=np.float32), "e": np.zeros((0, 4), dtype=np.float64)},
              OUT / "library.safetensors", metadata={"format": "pt"})
    byte_level(random)
    sentencepiece(random)


if __name__ == "__main__":
    main()
