"""What is wrong inside a model or an adapter directory."""

from breaking import all_of, append, edit, keys, metadata, remove, replace, shapes, tensor, truncate, write
from workspace import FACTOR_A, FACTOR_B, KEY, QUERY

TRAIN, ADAPTED = "train run.ini", "train run.ini --lora.adapter adapter"
MERGED = "merge --model model --adapter adapter new"
CONFIG, WEIGHTS = "model/config.json", "model/model.safetensors"
ADAPTER_CONFIG, FACTORS = "adapter/adapter_config.json", "adapter/adapter_model.safetensors"
INDEX = "model/model.safetensors.index.json"


def config(name, *parts, **changes):
    return (f"config.json: {name}", keys(CONFIG, **changes), TRAIN, 3, [CONFIG, *parts])


def weights(name, action, *parts, command=TRAIN):
    return (f"safetensors: {name}", action, command, 3, [WEIGHTS, *parts])


# The adapter alone says what it is.
NOTHING_TYPED = replace("run.ini", "[lora]\nr = 2\ntarget_modules = q_proj\n", "")


def adapter_config(name, *parts, **changes):
    return (f"adapter: {name}", all_of(NOTHING_TYPED, keys(ADAPTER_CONFIG, **changes)), ADAPTED, 3, [ADAPTER_CONFIG, *parts])


def factors(name, action, *parts, command=ADAPTED):
    return (f"adapter: {name}", all_of(NOTHING_TYPED, action), command, 3, ["adapter", *parts])


def indexed(text):
    """The weights under another name, listed by an index."""
    def move(folder):
        (folder / WEIGHTS).rename(folder / "model/part-1.safetensors")
    return all_of(move, write(INDEX, text))


CASES = [
    ("config.json: not JSON", truncate(CONFIG, 0.5), TRAIN, 3, [CONFIG, "not valid JSON"]),
    ("config.json: empty", write(CONFIG, ""), TRAIN, 3, [CONFIG, "not valid JSON"]),
    ("config.json: a list", write(CONFIG, "[]"), TRAIN, 3, [CONFIG, "object"]),
    ("config.json: deeply nested", write(CONFIG, "[" * 100000), TRAIN, 3, [CONFIG]),
    config("unknown model_type", "model_type", "mamba", model_type="mamba"),
    config("no model_type", "model_type", model_type=None),
    config("model_type is a number", "model_type", "7", model_type=7),
    config("no hidden_size", "hidden_size", "missing", hidden_size=None),
    config("hidden_size is a string", "hidden_size", '"16"', hidden_size="16"),
    config("hidden_size is negative", "hidden_size", "-16", hidden_size=-16),
    config("hidden_size is a fraction", "hidden_size", "16.5", hidden_size=16.5),
    config("hidden_size beyond 64 bits", "hidden_size", hidden_size=2**63),
    ("config.json: hidden_size is enormous", keys(CONFIG, hidden_size=2**31), TRAIN, 3, ["model.embed_tokens.weight", "[257, 16]"]),
    ("config.json: intermediate_size is enormous", keys(CONFIG, intermediate_size=2**31), TRAIN, 3, ["gate_proj.weight", "[24, 16]"]),
    ("config.json: everything is enormous", keys(CONFIG, hidden_size=2**31, intermediate_size=2**31, vocab_size=2**31),
     TRAIN + " --model.init random", 4, ["need"]),
    config("layers is enormous", "num_hidden_layers", num_hidden_layers=2**31 - 1),
    config("heads do not divide", "num_attention_heads", "num_key_value_heads", num_attention_heads=2, num_key_value_heads=3),
    config("hidden_size is not a multiple of the heads", "hidden_size", "num_attention_heads", num_attention_heads=3),
    config("odd head", "head", head_dim=7),
    config("vocab_size of zero", "vocab_size", "0", vocab_size=0),
    config("negative eps", "rms_norm_eps", rms_norm_eps=-1),
    config("eps is a string", "rms_norm_eps", rms_norm_eps="small"),
    config("unknown activation", "hidden_act", "relu6", hidden_act="relu6"),
    config("flag is a string", "tie_word_embeddings", tie_word_embeddings="yes"),
    config("rope_theta of zero", "rope_theta", rope_theta=0),
    config("unknown rope", "rope_scaling", "spiral", rope_scaling={"rope_type": "spiral", "factor": 2}),
    config("rope without its factors", "low_freq_factor", rope_scaling={"rope_type": "llama3", "factor": 8.0}),
    config("rope is a list", "rope_scaling", rope_scaling=[1]),
    config("quantized", "quantization_config.quant_method", "gptq", quantization_config={"quant_method": "gptq"}),
    config("quantized in eight bits", "quantization_config.load_in_8bit", quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True}),
    config("said to be in four bits", "quantization_config", "none of them", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}),
    config("a mixture of experts", "num_local_experts", num_local_experts=8),
    config("soft caps", "final_logit_softcapping", final_logit_softcapping=30.0),
    config("eos_token_id is a string", "eos_token_id", eos_token_id="end"),
    ("config.json: other sizes than the weights", keys(CONFIG, intermediate_size=32), TRAIN, 3, ["gate_proj.weight", "[24, 16]", "[32, 16]"]),
    ("config.json: more layers than the weights", keys(CONFIG, num_hidden_layers=2), TRAIN, 3, ["model.layers.1.", "no tensor"]),
    ("config.json: eval", keys(CONFIG, vocab_size=0), "eval run.ini", 3, [CONFIG, "vocab_size"]),
    ("config.json: generate", keys(CONFIG, vocab_size=0), "generate --model model --prompt x", 3, [CONFIG, "vocab_size"]),
    # safetensors
    weights("empty", write(WEIGHTS, "")),
    weights("text", write(WEIGHTS, "this is no model at all"), "not a safetensors file"),
    weights("a Git LFS pointer", write(WEIGHTS, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"), "not a safetensors file"),
    weights("cut in the header", truncate(WEIGHTS, 100), "truncated"),
    weights("cut in the data", truncate(WEIGHTS, -100), "truncated"),
    weights("more than its tensors", append(WEIGHTS, "tail"), "4 bytes follow"),
    weights("header length beyond the file", edit(WEIGHTS, lambda c: b"\xff\xff\xff\0\0\0\0\0" + c[8:])),
    weights("header length of 2^63", edit(WEIGHTS, lambda c: b"\0\0\0\0\0\0\0\x80" + c[8:])),
    weights("header is not JSON", edit(WEIGHTS, lambda c: c.replace(b'"dtype"', b'"dtype!', 1)), "header"),
    weights("unknown dtype", tensor(WEIGHTS, QUERY + ".weight", dtype="F31"), QUERY, "F31"),
    weights("dtype of integers", tensor(WEIGHTS, QUERY + ".weight", dtype="I32"), QUERY),
    weights("shape does not fit the bytes", tensor(WEIGHTS, QUERY + ".weight", shape=[16, 15]), QUERY),
    weights("negative extent", tensor(WEIGHTS, QUERY + ".weight", shape=[-16, 16]), QUERY, "-16"),
    weights("shape overflows", tensor(WEIGHTS, QUERY + ".weight", shape=[2**40, 2**40]), QUERY, "too large"),
    weights("offsets beyond the file", tensor(WEIGHTS, "model.norm.weight", data_offsets=[10**9, 10**9 + 64]), "model.norm.weight"),
    weights("offsets backwards", tensor(WEIGHTS, QUERY + ".weight", data_offsets=[64, 0]), QUERY),
    weights("tensors overlap", tensor(WEIGHTS, "model.norm.weight", data_offsets=[0, 64]), "overlap"),
    weights("tensor twice", edit(WEIGHTS, lambda c: c.replace(b"self_attn.k_proj", b"self_attn.v_proj")), "v_proj.weight", "twice"),
    ("safetensors: tensor missing", tensor(WEIGHTS, KEY + ".weight", rename="model.layers.0.self_attn.K.weight"), TRAIN, 3,
     [KEY + ".weight", "no tensor"]),
    weights("other shape", shapes(WEIGHTS, lambda s: s.update({KEY + ".weight": [16, 16]})), KEY, "[16, 16]", "[8, 16]"),
    weights("NaN", tensor(WEIGHTS, KEY + ".weight", value=float("nan")), KEY, "non-finite", "index 0"),
    weights("infinite", tensor(WEIGHTS, KEY + ".weight", value=float("inf")), KEY, "non-finite", command="eval run.ini"),
    weights("exceeds bf16", tensor(WEIGHTS, KEY + ".weight", value=3.4e38), KEY, "which bf16 does not hold", "model.dtype fp32",
            command=TRAIN + " --model.dtype bf16"),
    weights("exceeds fp16", tensor(WEIGHTS, KEY + ".weight", value=7e4), KEY, "element 0 is 70000, which fp16 does not hold", "bf16 or fp32",
            command="eval run.ini --model.dtype fp16"),
    ("index: not JSON", indexed("{"), TRAIN, 3, [INDEX, "not valid JSON"]),
    ("index: no weight_map", indexed("{}"), TRAIN, 3, [INDEX, "weight_map"]),
    ("index: part missing", indexed('{"weight_map": {"model.norm.weight": "part-2.safetensors"}}'), TRAIN, 3,
     [INDEX, "model.norm.weight", "part-2.safetensors"]),
    ("index: leaves the directory", indexed('{"weight_map": {"model.norm.weight": "../part-1.safetensors"}}'), TRAIN, 3,
     [INDEX, "../part-1.safetensors"]),
    ("index: tensor is not there", indexed('{"weight_map": {"model.norm.bias": "part-1.safetensors"}}'), TRAIN, 3, [INDEX, "model.norm.bias"]),
    # adapters
    ("adapter: no configuration", remove(ADAPTER_CONFIG), ADAPTED, 2, [ADAPTER_CONFIG]),
    ("adapter: no weights", remove(FACTORS), ADAPTED, 2, ["adapter", "no weights"]),
    ("adapter: not JSON", truncate(ADAPTER_CONFIG, 0.5), ADAPTED, 3, [ADAPTER_CONFIG, "not valid JSON"]),
    adapter_config("not LoRA", "peft_type", "LOHA", peft_type="LOHA"),
    adapter_config("r of zero", "'r'", r=0),
    adapter_config("r is a string", "'r'", r="2"),
    adapter_config("no alpha", "lora_alpha", lora_alpha=None),
    adapter_config("DoRA", "use_dora", use_dora=True),
    adapter_config("ranks by pattern", "rank_pattern", rank_pattern={"q_proj": 4}),
    adapter_config("whole modules", "modules_to_save", modules_to_save=["embed_tokens"]),
    adapter_config("scales by pattern", "alpha_pattern", alpha_pattern={"q_proj": 4}),
    adapter_config("trained biases", "bias", bias="lora_only"),
    adapter_config("active behind certain tokens", "alora_invocation_tokens", alora_invocation_tokens=[5, 6]),
    adapter_config("blocks on the diagonal", "use_bdlora", use_bdlora={"target_modules_bd_a": ["q_proj"]}),
    adapter_config("base without the first product", "init_lora_weights", "pissa_niter_16", "convert", init_lora_weights="pissa_niter_16"),
    adapter_config("base rounded for it", "init_lora_weights", "loftq", init_lora_weights="loftq"),
    adapter_config("no targets", "target_modules", target_modules=[]),
    adapter_config("targets by pattern", "target_modules", target_modules=".*q_proj"),
    adapter_config("use_rslora is a string", "use_rslora", use_rslora="yes"),
    adapter_config("r is enormous", "'r'", r=2**40),
    adapter_config("target of another model", "target_modules", "c_attn", target_modules=["c_attn"]),
    adapter_config("target that is not built", "target_modules", "lm_head", target_modules=["lm_head"]),
    factors("other rank than the configuration", keys(ADAPTER_CONFIG, r=4), "lora_A", "[2, 16]", "[4, 16]"),
    factors("other rank, evaluated", keys(ADAPTER_CONFIG, r=4), "lora_A", "[2, 16]", "[4, 16]", command="eval run.ini --lora.adapter adapter"),
    factors("factor missing", tensor(FACTORS, FACTOR_B, rename="base_model.model.lora_C"), FACTOR_B),
    factors("factor without a place", shapes(FACTORS, lambda s: s.update({FACTOR_A.replace("q_proj", "k_proj"): [2, 16]})), "k_proj.lora_A"),
    factors("cut", truncate(FACTORS, -8), "truncated"),
    factors("NaN", tensor(FACTORS, FACTOR_A, value=float("nan")), FACTOR_A, "non-finite"),
    factors("cut, merged", truncate(FACTORS, -8), "truncated", command=MERGED),
    factors("DoRA, merged", keys(ADAPTER_CONFIG, use_dora=True), "use_dora", command=MERGED),
    factors("whole modules, merged", keys(ADAPTER_CONFIG, modules_to_save=["lm_head"]), "modules_to_save", command=MERGED),
    factors("says nonsense of its base, merged", metadata(FACTORS, base_quantization="{"), FACTORS, "base_quantization",
            command=MERGED + " --base dequantized"),
    weights("cut, merged", truncate(WEIGHTS, -100), "truncated", command=MERGED),
    weights("cut, quantised", truncate(WEIGHTS, -100), "truncated", command="quantize model new"),
    weights("NaN, merged", tensor(WEIGHTS, QUERY + ".weight", value=float("nan")), QUERY, "non-finite", command=MERGED),
    weights("NaN, quantised", tensor(WEIGHTS, KEY + ".weight", value=float("nan")), KEY, "non-finite", command="quantize model new"),
    ("adapter: generate", keys(ADAPTER_CONFIG, r=0), "generate --model model --adapter adapter --prompt x", 3, [ADAPTER_CONFIG, "'r'"]),
]
