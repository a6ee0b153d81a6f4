"""How a run is split over ranks in ways that cannot be: parallel.*, the number of ranks, the global batch."""

from breaking import append, keys, nothing

# Five layers, four heads, two of them for keys and values, 24 rows of the MLP: tensor 1 and 2 divide.
DEEP = keys("model/config.json", num_hidden_layers=5, num_attention_heads=4, num_key_value_heads=2)
RANDOM = "--model.init random"


def on(ranks, name, options, *parts, batch=4):
    return (f"layout: {name}, {ranks} rank{'s' if ranks > 1 else ''}", DEEP,
            f"ranks:{ranks} train run.ini {RANDOM} --training.global_batch_size {batch} {options}", 2, parts)


def evaluated(ranks, name, options, *parts):
    return (f"layout: eval, {name}", DEEP, f"ranks:{ranks} eval run.ini --model.init random {options}", 2, parts)


def generated(ranks, name, options, *parts):
    return (f"layout: generate, {name}", nothing, f"ranks:{ranks} generate --model model --prompt x {options}", 2, parts)


def planned(name, options, *parts):
    return (f"layout: plan, {name}", DEEP, f"plan run.ini {options}", 2, parts)


ALLOWED = "allowed: 1, 2"
HEADS = ("parallel.tensor = 3", "num_attention_heads 4", ALLOWED)
KEYS = ("parallel.tensor = 4", "num_key_value_heads 2", ALLOWED)
DEEPER = ("parallel.pipeline = 6", "5 layers", "at most 5")
PARTS = ("parallel.pipeline x parallel.chunks = 2 x 3", "5 layers", "at most 2 chunks")
COUNT = ("parallel.layers = 1,2,2 has 3 of the 2 numbers", "parallel.pipeline x parallel.chunks = 2 x 1")
SUM = ("parallel.layers = 2,2", "4 layers", "has 5")
EMPTY = ("parallel.layers", "from 1")
CHUNKS = ("parallel.chunks = 2", "interleaved")

CASES = [
    # what does not make up the job's ranks
    on(1, "tensor", "--parallel.tensor 2", "parallel.tensor x parallel.pipeline = 2 x 1", "1 rank;", "start 2"),
    on(2, "tensor x pipeline", "--parallel.tensor 2 --parallel.pipeline 2", "2 x 2", "2 ranks", "start 4"),
    on(3, "data x pipeline", "--parallel.data 2 --parallel.pipeline 2", "parallel.data", "2 x 1 x 2 = 4", "3 ranks"),
    on(3, "pipeline", "--parallel.pipeline 2", "parallel.pipeline = 1 x 2", "3 ranks", "start 2"),
    evaluated(2, "pipeline", "--parallel.pipeline 3", "parallel.pipeline = 1 x 3", "2 ranks"),
    generated(2, "pipeline", "--parallel.pipeline 3", "parallel.pipeline = 1 x 3", "2 ranks"),
    generated(1, "tensor on one rank", "--parallel.tensor 2", "parallel.tensor x parallel.pipeline = 2 x 1", "1 rank;"),
    planned("more ranks than cards", "--hardware machine.ini --ranks 4 --parallel.pipeline 4", "--ranks 4", "2 in all"),
    planned("pipeline", "--hardware machine.ini --parallel.pipeline 3", "parallel.pipeline = 1 x 3", "2 ranks"),
    # what does not divide the model
    on(3, "heads", "--parallel.tensor 3", *HEADS),
    on(4, "kv heads", "--parallel.tensor 4", *KEYS),
    ("layout: MLP", keys("model/config.json", intermediate_size=25, num_key_value_heads=2), f"ranks:2 train run.ini {RANDOM} --parallel.tensor 2", 2,
     ["parallel.tensor = 2", "intermediate_size 25", "allowed: 1"]),
    evaluated(3, "heads", "--parallel.tensor 3", *HEADS),
    generated(3, "heads", "--parallel.tensor 3", "command line: parallel.tensor = 3", "num_attention_heads 2", "allowed: 1"),
    generated(2, "kv heads", "--parallel.tensor 2", "command line: parallel.tensor = 2", "num_key_value_heads 1", "allowed: 1"),
    planned("heads", "--ranks 3 --parallel.tensor 3", *HEADS),
    planned("kv heads", "--ranks 4 --parallel.tensor 4", *KEYS),
    # what does not divide the layers
    on(6, "more stages than layers", "--parallel.pipeline 6", *DEEPER),
    on(2, "more parts than layers", "--parallel.pipeline 2 --parallel.schedule interleaved --parallel.chunks 3", *PARTS),
    evaluated(6, "more stages than layers", "--parallel.pipeline 6", *DEEPER),
    generated(2, "more stages than layers", "--parallel.pipeline 2", "command line: parallel.pipeline = 2", "1 layer,", "at most 1"),
    planned("more stages than layers", "--ranks 6 --parallel.pipeline 6", *DEEPER),
    planned("more parts than layers", "--ranks 2 --parallel.pipeline 2 --parallel.schedule interleaved --parallel.chunks 3", *PARTS),
    on(2, "layers: another count", "--parallel.pipeline 2 --parallel.layers 1,2,2", *COUNT),
    on(2, "layers: another sum", "--parallel.pipeline 2 --parallel.layers 2,2", *SUM),
    on(2, "layers: none for a stage", "--parallel.pipeline 2 --parallel.layers 5,0", *EMPTY),
    on(2, "layers: negative", "--parallel.pipeline 2 --parallel.layers 6,-1", *EMPTY),
    on(2, "layers: words", "--parallel.pipeline 2 --parallel.layers most,few", "parallel.layers = most,few", "auto"),
    planned("layers: another count", "--ranks 2 --parallel.pipeline 2 --parallel.layers 1,2,2", *COUNT),
    planned("layers: another sum", "--ranks 2 --parallel.pipeline 2 --parallel.layers 2,2", *SUM),
    planned("layers: none for a stage", "--ranks 2 --parallel.pipeline 2 --parallel.layers 5,0", *EMPTY),
    # schedules
    *[on(2, f"chunks with {name}", f"--parallel.pipeline 2 --parallel.schedule {name} --parallel.chunks 2", f"schedule = {name}", *CHUNKS)
      for name in ("gpipe", "1f1b", "zb-h1")],
    planned("chunks with gpipe", "--ranks 2 --parallel.pipeline 2 --parallel.schedule gpipe --parallel.chunks 2", "schedule = gpipe", *CHUNKS),
    on(1, "no such schedule", "--parallel.schedule 1f1", "parallel.schedule = 1f1", "did you mean '1f1b'"),
    on(2, "no such schedule", "--parallel.pipeline 2 --parallel.schedule interleave", "parallel.schedule", "did you mean 'interleaved'"),
    planned("no such schedule", "--parallel.schedule gpip", "parallel.schedule = gpip", "did you mean 'gpipe'"),
    on(2, "no chunks", "--parallel.pipeline 2 --parallel.chunks 0", "parallel.chunks = 0", "from 1"),
    ("layout: from the file", append("run.ini", "[parallel]\npipeline = none\n"), "train run.ini", 2, ["run.ini:24", "parallel.pipeline = none"]),
    # ZeRO and the global batch
    on(1, "zero 3", "--parallel.zero 3", "parallel.zero = 3", "not built", "0, 1 or 2"),
    on(2, "zero 3", "--parallel.zero 3", "parallel.zero = 3", "not built", "0, 1 or 2"),
    on(2, "zero 4", "--parallel.zero 4", "parallel.zero = 4", "0 to 3"),
    planned("zero 3", "--parallel.zero 3", "parallel.zero = 3", "not built", "0, 1 or 2"),
    on(3, "global batch", "--parallel.data 3", "training.global_batch_size = 4", "1 x 3 = 3", "use 3 or 6"),
    on(4, "global batch in a pipeline", "--parallel.pipeline 2", "training.global_batch_size = 3", "1 x 2 = 2", "use 2 or 4", batch=3),
    planned("global batch", "--ranks 3 --training.global_batch_size 4", "training.global_batch_size = 4", "1 x 3 = 3", "use 3 or 6"),
]
