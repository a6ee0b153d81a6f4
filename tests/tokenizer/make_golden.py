#!/usr/bin/env python3
"""Writes the golden files of tests/tokenizer. Needs tokenizers, transformers and jinja2; the tests do not.

    python make_golden.py tokenizers        models/NAME/tokenizer.json, trained on TEXT below, and ids.json
    python make_golden.py templates         chat.json from templates/*.jinja and conversations.json
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent

TEXT = """Fine-tuning adapts a model that already knows a language to one task. The loss of a sample is the mean over its tokens.
We've 12 cards, 3456 tokens a second and 7.5 hours; it's theirs, they'll say, I'm sure you'd agree. HELLO Hello hello WORLD World world.
def step(self, batch):\n    for i in range(10):\n        loss = self.model(batch[i])  # the mean\n    return loss / 10\n
{"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": "4"}\nhttps://example.org/a?b=c&d=e_f-g
Größe, Übung, Straße; déjà vu, naïve café; señor, mañana; Привет, мир; Καλημέρα κόσμε; שלום עולם; مرحبا بالعالم; नमस्ते दुनिया;
你好，世界。自然语言处理；こんにちは世界、トークン；안녕하세요 세계; สวัสดีชาวโลก; 🙂🚀👩‍👩‍👧‍👦 ❤️ ½ ² Ⅷ ①. a b c d e f g h i j k l m n o p q r s t u v w x y z
""" * 4

GPT2_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3_WORDS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
                r"|\s+(?!\S)|\s+")
QWEN2_WORDS = LLAMA3_WORDS.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN_WORDS = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
                r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
                r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def special(*texts, **flags):
    from tokenizers import AddedToken
    return [AddedToken(t, special=True, normalized=False, **flags) for t in texts]


def train_bytes(tokenizer, size, specials=()):
    from tokenizers import pre_tokenizers, trainers
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False,
                                  special_tokens=list(specials))
    tokenizer.train_from_iterator(TEXT.split("\n"), trainer)


def gpt2():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    train_bytes(t, 480)
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.add_special_tokens(special("<|endoftext|>"))
    return t, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}


def llama3():
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3_WORDS), "isolated"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    train_bytes(t, 520)
    t.add_special_tokens(special("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
                                 "<|finetune_right_pad_id|>"))
    begin = t.token_to_id("<|begin_of_text|>")
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                                      special_tokens=[("<|begin_of_text|>", begin)])])
    return t, {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<|finetune_right_pad_id|>"}


def qwen2():
    from tokenizers import Regex, Tokenizer, AddedToken, decoders, models, normalizers, pre_tokenizers, processors
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2_WORDS), "isolated"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    train_bytes(t, 500)
    t.add_special_tokens(special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    t.add_tokens([AddedToken("<tool_call>", special=False, normalized=False), AddedToken("</tool_call>", special=False, normalized=False)])
    return t, {"bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "add_bos_token": False}


def train_sentencepiece_like(t, size, specials):
    from tokenizers import trainers
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=specials + [f"<0x{b:02X}>" for b in range(256)],
                                  limit_alphabet=90)
    t.train_from_iterator(TEXT.split("\n"), trainer)


def without_added_bytes(t):
    """The trainer makes added tokens of the bytes; real files do not."""
    from tokenizers import Tokenizer
    j = json.loads(t.to_str())
    j["added_tokens"] = [a for a in j["added_tokens"] if not a["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(j))


def llama2():
    """SentencePiece as transformers' converter writes it: normalizer Prepend and Replace, no pre-tokenizer, byte fallback."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    train_sentencepiece_like(t, 640, ["<unk>", "<s>", "</s>"])
    t = without_added_bytes(t)
    j = json.loads(t.to_str())
    j["pre_tokenizer"] = None
    t = Tokenizer.from_str(json.dumps(j))
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return t, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True, "add_eos_token": False}


def mistral():
    """Metaspace with prepend_scheme first, as newer conversions of SentencePiece models write it; control tokens in the vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first", split=True)
    train_sentencepiece_like(t, 620, ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"])
    t = without_added_bytes(t)
    t.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first", split=False)
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return t, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def gemma():
    """Replace alone as normalizer, Split on spaces, NFC-free, no prefix space."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Replace(" ", "▁")
    t.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    train_sentencepiece_like(t, 620, ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"])
    t = without_added_bytes(t)
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    t.post_processor = processors.TemplateProcessing(single="<bos> $A", pair="<bos> $A <bos>:1 $B:1", special_tokens=[("<bos>", 2)])
    return t, {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}


def smollm():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    train_bytes(t, 460, special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    return t, {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}


def tekken():
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(TEKKEN_WORDS), "isolated"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    train_bytes(t, 470, special("<unk>", "<s>", "</s>", "[INST]", "[/INST]"))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B:1", special_tokens=[("<s>", t.token_to_id("<s>"))])
    return t, {"bos_token": "<s>", "eos_token": "</s>"}


def phi3():
    """Llama-2's with added tokens that take the space after them."""
    t, config = llama2()
    t.add_special_tokens(special("<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>", rstrip=True))
    j = json.loads(t.to_str())
    j["post_processor"] = None
    from tokenizers import Tokenizer
    return Tokenizer.from_str(json.dumps(j)), {**config, "eos_token": "<|endoftext|>", "add_bos_token": False}


def mixture():
    """What the families above leave out: lowercase and stripping normalizers, punctuation, added tokens of every kind."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()])
    t.decoder = decoders.BPEDecoder("</w>")
    t.train_from_iterator(TEXT.split("\n"), trainers.BpeTrainer(vocab_size=420, show_progress=False, special_tokens=["<unk>", "<cls>", "<sep>"],
                                                                end_of_word_suffix="</w>", limit_alphabet=120))
    t.add_tokens([AddedToken("Tandem", normalized=True), AddedToken("word", single_word=True, normalized=False),
                  AddedToken("<l>", lstrip=True, normalized=False), AddedToken("<r>", rstrip=True, normalized=False),
                  AddedToken("<lr>", lstrip=True, rstrip=True, normalized=True)])
    t.post_processor = processors.TemplateProcessing(single="<cls> $A <sep>", pair="<cls> $A <sep> $B <sep>",
                                                     special_tokens=[("<cls>", 1), ("<sep>", 2)])
    return t, {"eos_token": "<sep>"}


FAMILIES = [gpt2, llama3, qwen2, llama2, mistral, gemma, smollm, tekken, phi3, mixture]


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def make_tokenizers():
    strings = json.loads((HERE / "strings.json").read_text(encoding="utf-8"))
    for family in FAMILIES:
        t, config = family()
        folder = HERE / "models" / family.__name__
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "tokenizer.json", json.loads(t.to_str()))
        write(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **config})
        from tokenizers import Tokenizer
        t = Tokenizer.from_file(str(folder / "tokenizer.json"))
        golden = []
        for s in strings:
            ids = t.encode(s, add_special_tokens=False).ids
            golden.append({"ids": ids, "framed": t.encode(s).ids, "decoded": t.decode(ids, skip_special_tokens=False),
                           "plain": t.decode(ids, skip_special_tokens=True)})
        write(folder / "ids.json", golden)
        print(family.__name__, t.get_vocab_size(), (folder / "tokenizer.json").stat().st_size, "bytes")


def make_templates():
    from transformers.utils.chat_template_utils import render_jinja_template
    conversations = json.loads((HERE / "conversations.json").read_text(encoding="utf-8"))
    out = {}
    for path in sorted((HERE / "templates").glob("*.jinja")):
        source = path.read_text(encoding="utf-8")
        out[path.stem] = {}
        for name, messages in conversations.items():
            results = []
            for prompt in (False, True):
                try:
                    text = render_jinja_template([messages], chat_template=source, add_generation_prompt=prompt, bos_token="<s>",
                                                 eos_token="</s>")[0][0]
                    results.append({"text": text})
                except Exception as e:  # what a template refuses is refused here too
                    results.append({"error": type(e).__name__})
            out[path.stem][name] = results
    write(HERE / "chat.json", out)
    print(len(out), "templates x", len(conversations), "conversations")


if __name__ == "__main__":
    {"tokenizers": make_tokenizers, "templates": make_templates}[sys.argv[1]]()
