"""What is wrong in what was typed: run.ini, the command line, paths. Rows: name, how it is broken, command, exit code, what the
message names."""

from breaking import append, edit, line, make_directory, make_fifo, nothing, remove, replace, write

TRAIN = "train run.ini"


def typed(name, options, *parts):
    return (name, nothing, f"{TRAIN} {options}", 2, parts)


def ini(name, action, *parts):
    return (name, action, TRAIN, 2, parts)


CASES = [
    # syntax of the INI file
    ini("ini: no equals sign", line("run.ini", 2, "path model"), "run.ini:2", "path model", "key = value"),
    ini("ini: section is not closed", line("run.ini", 1, "[model"), "run.ini:1", "[section]"),
    ini("ini: unknown section", line("run.ini", 1, "[modle]"), "run.ini:1", "unknown section [modle]", "model"),
    ini("ini: unknown key", append("run.ini", "[lora]\nrank = 3\n"), "run.ini:24", "'lora.rank'", "did you mean 'lora.r'"),
    ini("ini: key outside of a section", line("run.ini", 1, "lr = 3"), "run.ini:1", "unknown key 'lr'"),
    ini("ini: key given twice", line("run.ini", 3, "path = other"), "run.ini:3", "model.path", "run.ini:2"),
    ini("ini: key without a value", line("run.ini", 2, "path ="), "run.ini:2", "model.path", "no value"),
    ini("ini: value is only a comment", line("run.ini", 2, "path = # model"), "run.ini:2", "model.path", "no value"),
    ini("ini: an empty key", line("run.ini", 2, "= model"), "run.ini:2", "key = value"),
    ini("ini: a NUL byte", line("run.ini", 2, "path = mo\0del"), "run.ini", "not a configuration file"),
    ini("ini: UTF-16", edit("run.ini", lambda text: text.decode().encode("utf-16")), "run.ini"),
    ini("ini: empty", write("run.ini", ""), "run.ini", "model.path is missing"),
    ini("ini: required key missing", line("run.ini", 2, ""), "run.ini", "model.path is missing"),
    ini("ini: YAML", write("run.ini", "model:\n  path: model\n"), "run.ini:1"),
    ("ini: a directory", nothing, "train model", 2, ["model", "is a directory"]),
    ("ini: a model file", nothing, "train model/model.safetensors", 2, ["model/model.safetensors", "not a configuration file"]),
    ("ini: not there", nothing, "train other.ini", 2, ["other.ini", "No such file"]),
    # values
    ini("value: not a number", append("run.ini", "[optimizer]\nlearning_rate = fast\n"), "run.ini:24", "learning_rate = fast", "a number"),
    ini("value: decimal comma", append("run.ini", "[optimizer]\nlearning_rate = 0,1\n"), "run.ini:24", "learning_rate"),
    typed("value: negative", "--optimizer.learning_rate -1", "learning_rate = -1"),
    typed("value: nan", "--optimizer.learning_rate nan", "learning_rate = nan"),
    typed("value: infinite", "--optimizer.max_grad_norm inf", "max_grad_norm = inf"),
    typed("value: beta of 1", "--optimizer.beta1 1", "beta1 = 1", "below 1"),
    typed("value: fraction of a step", "--training.max_steps 1.5", "max_steps = 1.5", "whole number"),
    typed("value: beyond 64 bits", "--training.max_steps 99999999999999999999", "max_steps", "whole number"),
    typed("value: zero", "--lora.r 0", "lora.r = 0"),
    typed("value: dropout of 1", "--lora.dropout 1", "lora.dropout = 1"),
    typed("value: maybe", "--data.packing maybe", "data.packing = maybe", "true or false"),
    typed("value: unknown word", "--optimizer.name adam", "optimizer.name = adam", "adamw"),
    typed("value: unknown type", "--model.dtype int8", "model.dtype = int8", "bf16"),
    typed("value: bytes without a meaning", "--device.memory_limit much", "memory_limit = much", "24GiB"),
    typed("value: time without a meaning", "--watchdog.deadline soon", "watchdog.deadline = soon"),
    typed("value: empty list entry", "--data.train data.jsonl,,text.jsonl", "data.train"),
    typed("value: seed too large", "--training.seed 18446744073709551616", "training.seed"),
    typed("value: method not built", "--method.type qlora", "method.type = qlora", "use lora or full"),
    typed("value: 8-bit states beside fp64", "--optimizer.name adamw_8bit --model.dtype fp64 --device.backend ref",
          "optimizer.name = adamw_8bit", "adamw or sgd"),
    typed("value: backend not built", "--device.backend cuda", "device.backend = cuda", "cpu"),
    # values that contradict each other or the job
    typed("layout: does not divide", "--training.global_batch_size 3 --training.micro_batch_size 2", "global_batch_size = 3"),
    typed("layout: micro above global", "--training.micro_batch_size 4", "micro_batch_size = 4", "global_batch_size = 2"),
    typed("layout: more ranks than there are", "--parallel.data 3", "parallel.data", "start 3"),
    typed("layout: stages", "--parallel.layers 1,1", "parallel.layers = 1,1", "has 2 of the 1"),
    typed("fp64 on cpu", "--model.dtype fp64 --device.backend cpu", "model.dtype = fp64", "device.backend = ref"),
    typed("target that is not there", "--lora.target_modules q_prj", "'q_prj'", "q_proj"),
    typed("all-linear and more", "--lora.target_modules all-linear,q_proj", "all-linear"),
    typed("rank contradicts the adapter", "--lora.adapter adapter --lora.r 4", "lora.r = 4", "adapter"),
    typed("alpha contradicts the adapter", "--lora.adapter adapter --lora.alpha 5", "lora.alpha = 5", "adapter"),
    typed("full with an adapter", "--method.type full --lora.adapter adapter", "lora.adapter"),
    typed("unknown option", "--lora.rank 3", "'--lora.rank'", "did you mean '--lora.r'"),
    typed("option without a value", "--lora.r", "--lora.r"),
    typed("option given twice", "--lora.r 2 --lora.r=4", "--lora.r", "twice"),
    # paths
    typed("path: model not there", "--model.path nowhere", "model.path = nowhere", "does not exist"),
    typed("path: model is a file", "--model.path run.ini", "model.path = run.ini", "is a file"),
    typed("path: model is a GGUF file", "--model.path model.gguf", "model.path = model.gguf", "tandem import"),
    ("path: model is an empty directory", make_directory("empty"), f"{TRAIN} --model.path empty", 2, ["empty/config.json"]),
    typed("path: data not there", "--data.train nowhere.jsonl", "data.train = nowhere.jsonl", "does not exist"),
    typed("path: glob without a match", "--data.train=no*.jsonl", "no*.jsonl", "no file matches"),
    typed("path: data is a directory", "--data.train model", "data.train = model", "is a directory"),
    typed("path: validation not there", "--data.validation nowhere.jsonl", "data.validation = nowhere.jsonl"),
    ("path: data is a FIFO", make_fifo("pipe.jsonl"), f"{TRAIN} --data.train pipe.jsonl", 2, ["pipe.jsonl", "not a regular file"]),
    typed("path: template not there", "--data.chat_template nowhere.jinja", "data.chat_template = nowhere.jinja"),
    typed("path: adapter not there", "--lora.adapter nowhere", "lora.adapter = nowhere"),
    typed("path: adapter is a file", "--lora.adapter run.ini", "lora.adapter = run.ini", "not a directory"),
    typed("path: checkpoint not there", "--checkpoint.resume run/checkpoints/step-9.h5", "checkpoint.resume", "does not exist"),
    typed("path: checkpoint directory without one", "--checkpoint.resume adapter", "checkpoint.resume = adapter", "no checkpoints"),
    typed("path: output is a file", "--output.dir data.jsonl", "output.dir = data.jsonl", "is a file"),
    typed("path: output below a file", "--output.dir data.jsonl/run", "output.dir = data.jsonl/run", "Not a directory"),
    typed("path: output where nothing can be made", "--output.dir /proc/run", "output.dir = /proc/run"),
    typed("path: cache below a file", "--data.cache data.jsonl/cache", "data.jsonl/cache"),
    typed("path: name too long", "--output.dir " + "x" * 300, "output.dir", "too long"),
    ("path: no weights", remove("model/model.safetensors"), TRAIN, 2, ["model", "no weights"]),
    ("path: weights only as a pickle", lambda folder: (folder / "model/model.safetensors").rename(folder / "model/pytorch_model.bin"), TRAIN,
     2, ["pytorch_model.bin", "pickle"]),
    # other subcommands
    ("eval: no validation data", replace("run.ini", "validation = data.jsonl\n", ""), "eval run.ini", 2, ["data.validation is missing"]),
    ("eval: unknown key", nothing, "eval run.ini --lora.rank 1", 2, ["'--lora.rank'"]),
    ("eval: model not there", nothing, "eval run.ini --model.path nowhere", 2, ["model.path = nowhere"]),
    ("prepare: glob without a match", nothing, "prepare run.ini --data.train=no*.jsonl", 2, ["no*.jsonl"]),
    ("prepare: model not there", nothing, "prepare run.ini --model.path nowhere", 2, ["model.path = nowhere"]),
    ("tokenize: model not there", nothing, "tokenize --model nowhere", 2, ["nowhere"]),
    ("tokenize: no tokenizer", remove("model/tokenizer.json"), "tokenize --model model", 2, ["model", "tokenizer.json"]),
    ("generate: neither prompt nor chat", nothing, "generate --model model", 2, ["--prompt", "--chat"]),
    ("generate: model not there", nothing, "generate --model nowhere --prompt x", 2, ["nowhere"]),
    ("generate: adapter not there", nothing, "generate --model model --adapter nowhere --prompt x", 2, ["nowhere"]),
    ("generate: negative temperature", nothing, "generate --model model --prompt x --temperature -1", 2, ["temperature", "-1"]),
    ("import: file not there", nothing, "import nowhere.gguf new", 2, ["nowhere.gguf"]),
    ("import: target is not empty", nothing, "import model.gguf model", 2, ["model", "not empty"]),
    ("import: target is a file", nothing, "import model.gguf run.ini", 2, ["run.ini"]),
    ("import: target below a file", nothing, "import model.gguf run.ini/new", 2, ["run.ini/new"]),
    ("import: unknown type", nothing, "import model.gguf new --dtype int8", 2, ["dtype", "int8"]),
]
