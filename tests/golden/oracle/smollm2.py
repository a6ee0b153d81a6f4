"""SmolLM2-135M-Instruct from a GGUF file: weights as transformers dequantises them, tokenizer as published."""

import json
from pathlib import Path

import torch
from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from . import samples


def tokenizer_of(gguf: Path) -> PreTrainedTokenizerFast:
    """Byte-level BPE with digits split one by one, which is what `tokenizer.ggml.pre = smollm` stands for."""
    fields = GGUFReader(gguf).fields
    assert fields["tokenizer.ggml.pre"].contents() == "smollm"
    tokens = fields["tokenizer.ggml.tokens"].contents()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    control = 3
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)
                                  for token, kind in zip(tokens, kinds) if kind == control])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>",
                                   chat_template=fields["tokenizer.chat_template"].contents())


def model_of(gguf: Path) -> torch.nn.Module:
    """Dequantised, rounded to bf16 as `tandem import` stores it, computed in fp32."""
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.bfloat16().float())
    return model.train()


def dialogue(tokenizer, question: str, answer: str) -> dict:
    """The chat template's tokens; the answer and its end are trained."""
    prompt = [{"role": "user", "content": question}]
    ids = tokenizer.apply_chat_template(prompt + [{"role": "assistant", "content": answer}], return_dict=False)
    start = len(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False))
    return {"input_ids": ids, "labels": [samples.IGNORED] * start + ids[start:]}


def training_samples(tokenizer, folder: Path) -> list[dict]:
    """Dialogues with masks; every fourth without a mask and without the template's system message."""
    result = []
    for number, line in enumerate((folder / "dialogues.jsonl").read_text().splitlines()):
        question, answer = json.loads(line)
        if number % 4 == 3:
            result.append({"input_ids": tokenizer(question + "\n" + answer)["input_ids"]})
        else:
            result.append(dialogue(tokenizer, question, answer))
    return result


def evaluation_samples(tokenizer, folder: Path) -> list[dict]:
    """A short, a masked and a long sequence (positions of several hundred)."""
    dialogues = [json.loads(line) for line in (folder / "dialogues.jsonl").read_text().splitlines()]
    long = "\n\n".join(f"Q: {question}\nA: {answer}" for question, answer in dialogues)
    texts = ["The capital of Portugal is Lisbon.", long]
    return [{"input_ids": tokenizer(text)["input_ids"]} for text in texts] + [dialogue(tokenizer, *dialogues[4])]
