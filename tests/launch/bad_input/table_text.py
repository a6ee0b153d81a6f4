"""What is wrong inside tokenizer.json, chat templates and data files."""

from breaking import all_of, edit, keys, line, remove, truncate, write

TRAIN = "train run.ini"
TOKENIZER, TOKENIZER_CONFIG, TEMPLATE = "model/tokenizer.json", "model/tokenizer_config.json", "model/chat_template.jinja"


def tokenizer(name, action, *parts, command=TRAIN):
    return (f"tokenizer: {name}", action, command, 3, [TOKENIZER, *parts])


def template(name, text, *parts):
    return (f"template: {name}", write(TEMPLATE, text), TRAIN, 3, [TEMPLATE, *parts])


def data(file, name, text, *parts, command=""):
    """Line 2 of `file` becomes `text`; the message names file and line."""
    words = command or f"{TRAIN} --data.train {file} --data.validation {file}"
    return (f"data: {file}: {name}", line(file, 2, text), words, 3, [f"{file}:2", *parts])


def turns(*messages):
    return {"messages": list(messages)}


USER, ANSWER = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}

CASES = [
    tokenizer("not JSON", truncate(TOKENIZER, 0.5), "not valid JSON"),
    tokenizer("empty", write(TOKENIZER, "")),
    tokenizer("no model", keys(TOKENIZER, model=None), '"model"'),
    tokenizer("not BPE", keys(TOKENIZER, model__type="Unigram"), "Unigram"),
    tokenizer("vocabulary is a list", keys(TOKENIZER, model__vocab=[]), "vocab"),
    tokenizer("content of a token is a number", edit(TOKENIZER, lambda c: c.replace(b'"content": "<|endoftext|>"', b'"content": 7')), "content"),
    tokenizer("merge of unknown tokens", keys(TOKENIZER, model__merges=["zz qq"]), "merge 0", "zz"),
    tokenizer("merge is not a pair", keys(TOKENIZER, model__merges=["a"]), "merge 0"),
    tokenizer("merges are an object", keys(TOKENIZER, model__merges={"a": "b"}), "merges"),
    tokenizer("dropout", keys(TOKENIZER, model__dropout=0.1), "dropout"),
    tokenizer("added_tokens is an object", keys(TOKENIZER, added_tokens={}), "added_tokens"),
    tokenizer("unknown normalizer", keys(TOKENIZER, normalizer={"type": "Upper"}), "Upper"),
    tokenizer("unknown pre-tokenizer", keys(TOKENIZER, pre_tokenizer={"type": "Magic"}), "Magic"),
    tokenizer("unknown decoder", keys(TOKENIZER, decoder={"type": "Magic"}), "Magic"),
    tokenizer("unknown post-processor", keys(TOKENIZER, post_processor={"type": "Magic"}), "Magic"),
    tokenizer("broken pattern", keys(TOKENIZER, pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated",
                                                             "invert": False}), "(a"),
    tokenizer("tokenize", truncate(TOKENIZER, 0.5), "not valid JSON", command="tokenize --model model"),
    tokenizer("generate", truncate(TOKENIZER, 0.5), "not valid JSON", command="generate --model model --prompt x"),
    tokenizer("eval", truncate(TOKENIZER, 0.5), "not valid JSON", command="eval run.ini"),
    ("tokenizer: more tokens than the model", keys(TOKENIZER, added_tokens=[{"id": 256 + i, "content": text, "special": True}
                                                                            for i, text in enumerate(["<|endoftext|>", "question"])]), TRAIN, 3,
     ["data.jsonl:1", "257", "0 to 256"]),
    ("tokenizer: none for text", remove(TOKENIZER), TRAIN, 3, ["data.jsonl:1", "tokenizer.json"]),
    ("tokenizer_config.json: not JSON", truncate(TOKENIZER_CONFIG, 0.5), TRAIN, 3, [TOKENIZER_CONFIG, "not valid JSON"]),
    ("tokenizer_config.json: eos_token is a number", keys(TOKENIZER_CONFIG, eos_token=7), TRAIN, 3, [TOKENIZER_CONFIG, "eos_token"]),
    ("tokenizer_config.json: add_bos_token is a string", keys(TOKENIZER_CONFIG, add_bos_token="yes"), TRAIN, 3,
     [TOKENIZER_CONFIG, "add_bos_token"]),
    ("tokenizer_config.json: template is a number", all_of(remove(TEMPLATE), keys(TOKENIZER_CONFIG, chat_template=7)), TRAIN, 3,
     [TOKENIZER_CONFIG, "chat_template"]),
    ("generation_config.json: not JSON", write("model/generation_config.json", "{"), TRAIN, 3, ["model/generation_config.json"]),
    ("generation_config.json: eos_token_id is a string", write("model/generation_config.json", '{"eos_token_id": "x"}'), TRAIN, 3,
     ["model/generation_config.json", "eos_token_id"]),
    # chat templates
    template("block is not closed", "{% for m in messages %}{{ m.content }}", f"{TEMPLATE}:1"),
    template("unknown tag", "\n{% frobnicate %}", f"{TEMPLATE}:2", "frobnicate"),
    template("text of two lines for a tag", "{% 'first\nsecond' %}", f"{TEMPLATE}:1", "first\\nsecond"),
    template("unknown filter", "{{ messages | frobnicate }}", "frobnicate"),
    template("expression is cut", "{{ messages[", f"{TEMPLATE}:1"),
    template("raises", "{{ raise_exception('no such role') }}", "no such role"),
    template("divides by zero", "{{ 1 / 0 }}", f"{TEMPLATE}:1"),
    template("text that doubles", "{% set n = namespace(x='x') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}", f"{TEMPLATE}:1"),
    template("recursion", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", f"{TEMPLATE}:1"),
    template("endless", "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}"),
    ("template: none for conversations", remove(TEMPLATE), TRAIN, 3, ["data.jsonl:1", "no chat template"]),
    ("template: given and broken", write("mine.jinja", "{% if %}"), f"{TRAIN} --data.chat_template mine.jinja", 3, ["mine.jinja:1"]),
    ("template: generate", write(TEMPLATE, "{% if %}"), "generate --model model --chat hello", 3, [f"{TEMPLATE}:1"]),
    # data: any format
    ("data: empty", write("data.jsonl", ""), TRAIN, 3, ["data.jsonl"]),
    ("data: only blank lines", write("data.jsonl", "\n\n \r\n"), TRAIN, 3, ["data.jsonl", "no records"]),
    ("data: gzip", write("data.jsonl", b"\x1f\x8b\x08\0\0\0\0\0"), TRAIN, 3, ["data.jsonl", "gzip"]),
    ("data: Parquet", write("data.jsonl", b"PAR1\0\0\0\0"), TRAIN, 3, ["data.jsonl", "Parquet"]),
    ("data: UTF-16", edit("data.jsonl", lambda c: c.decode().encode("utf-16")), TRAIN, 3, ["data.jsonl", "UTF-16"]),
    ("data: array is cut", write("data.jsonl", '[{"text": "a"},\n{"text": "b"'), TRAIN, 3, ["data.jsonl:2"]),
    ("data: more after the array", write("data.jsonl", '[{"text": "ab"}]\n{"text": "b"}'), TRAIN, 3, ["data.jsonl:2"]),
    ("data: all too long", write("data.jsonl", '{"text": "' + "x" * 400 + '"}\n'), TRAIN, 3, ["data.jsonl", "data.max_seq_length = 256"]),
    ("data: nothing is trained", write("data.jsonl", '{"messages": [{"role": "user", "content": "Q"}]}\n'), TRAIN, 3, ["data.jsonl", "nothing to train on"]),
    ("data: validation is broken", line("text.jsonl", 2, "{"), f"{TRAIN} --data.validation text.jsonl", 3, ["text.jsonl:2"]),
    ("data: bad line in the second file", line("text.jsonl", 3, "{"), f"{TRAIN} --data.train data.jsonl,text.jsonl", 3, ["text.jsonl:3"]),
    ("data: plain text is latin-1", write("plain.txt", b"good line\nna\xefve\n"), f"{TRAIN} --data.train plain.txt", 3, ["plain.txt:2", "UTF-8"]),
    data("data.jsonl", "not JSON", "{messages: []}", "not valid JSON"),
    data("data.jsonl", "line is cut", '{"messages": [{"role": "us', "not valid JSON"),
    data("data.jsonl", "not UTF-8", b'{"messages": "\xff\xfe"}', "not valid JSON"),
    data("data.jsonl", "nested without end", "[" * 200000),
    data("data.jsonl", "a number", 7, "JSON object"),
    data("data.jsonl", "no known key", {"prompt": "a", "completion": "b"}),
    data("data.jsonl", "unknown role", turns({"role": "robot", "content": "x"}, ANSWER), "robot"),
    data("data.jsonl", "role is missing", turns({"content": "x"}, ANSWER), "role"),
    data("data.jsonl", "content is a number", turns({"role": "user", "content": 7}, ANSWER), "content", "7"),
    data("data.jsonl", "an image", turns({"role": "user", "content": [{"type": "image", "url": "x"}]}, ANSWER), "image"),
    data("data.jsonl", "messages is a string", {"messages": "hello"}, "messages"),
    data("data.jsonl", "no turns", turns(), "messages"),
    data("data.jsonl", "a turn is a string", turns("hello", ANSWER), "hello"),
    data("data.jsonl", "eval", {"messages": 7}, "messages", command="eval run.ini"),
    data("data.jsonl", "prepare", {"messages": 7}, "messages", command="prepare run.ini"),
    data("data.jsonl", "another format", {"text": "abc"}, "messages"),
    data("sharegpt.jsonl", "unknown role", {"conversations": [{"from": "robot", "value": "x"}]}, "robot"),
    data("sharegpt.jsonl", "value is missing", {"conversations": [{"from": "human"}]}, "value"),
    data("sharegpt.jsonl", "value is a list", {"conversations": [{"from": "human", "value": [1]}]}, "conversations[0]"),
    data("alpaca.jsonl", "output is missing", {"instruction": "x"}, "output"),
    data("alpaca.jsonl", "instruction is a number", {"instruction": 7, "output": "x"}, "instruction", "7"),
    data("alpaca.jsonl", "history is a string", {"instruction": "x", "output": "y", "history": "z"}, "history"),
    data("text.jsonl", "text is null", {"text": None}, "text"),
    data("text.jsonl", "text is missing", {"body": "x"}, "text", "body"),
    data("tokens.jsonl", "id beyond the vocabulary", {"input_ids": [1, 257]}, "input_ids", "257", "0 to 256"),
    data("tokens.jsonl", "negative id", {"input_ids": [1, -1]}, "input_ids", "-1"),
    data("tokens.jsonl", "id is a fraction", {"input_ids": [1, 2.5]}, "input_ids", "2.5"),
    data("tokens.jsonl", "id beyond 32 bits", {"input_ids": [1, 2**40]}, "input_ids"),
    data("tokens.jsonl", "ids are a string", {"input_ids": "1 2 3"}, "input_ids"),
    data("tokens.jsonl", "fewer labels than ids", {"input_ids": [1, 2, 3], "labels": [1, 2]}, "labels", "2", "3"),
    data("tokens.jsonl", "label that is no token", {"input_ids": [1, 2, 3], "labels": [1, -5, 3]}, "labels", "-5"),
    data("tokens.jsonl", "label beyond the vocabulary", {"input_ids": [1, 2, 3], "labels": [1, 2, 300]}, "labels", "300"),
    data("tokens.jsonl", "no ids", {"labels": [1]}, "input_ids"),
]
