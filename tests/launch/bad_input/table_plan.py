"""What is wrong with a hardware file, and with what `plan` is asked."""

from breaking import append, keys, line, nothing, remove, replace, write

MACHINE = "machine.ini"
PLAN = f"plan run.ini --hardware {MACHINE}"


def hardware(name, action, *parts):
    return (f"hardware: {name}", action, PLAN, 2, [MACHINE, *parts])


CASES = [
    hardware("unknown key", replace(MACHINE, "memory = 24GiB", "memory = 24GiB\nmemroy = 1GiB"), ":4", "memroy"),
    hardware("unknown section", line(MACHINE, 2, "[cpu]"), ":2", "cpu"),
    hardware("not bytes", replace(MACHINE, "24GiB", "plenty"), ":3", "gpu.memory", "plenty"),
    hardware("negative rate", replace(MACHINE, "bf16_tflops = 71", "bf16_tflops = -71"), ":4", "bf16_tflops", "-71"),
    hardware("key twice", append(MACHINE, "gpus = 3\n"), "node.gpus"),
    hardware("no value", replace(MACHINE, "24GiB", ""), ":3", "gpu.memory"),
    hardware("no memory", replace(MACHINE, "memory = 24GiB\n", ""), "gpu.memory", "missing"),
    hardware("no link", replace(MACHINE, "link_bandwidth = 12\n", ""), "node.link_bandwidth", "missing"),
    hardware("no network", append(MACHINE, "[hardware]\nnodes = 2\n"), "network.bandwidth", "missing"),
    hardware("unknown link", append(MACHINE, "link = string\n"), "node.link", "string"),
    hardware("reserves everything", replace(MACHINE, "24GiB", "24GiB\nreserved = 25GiB"), "gpu.reserved"),
    hardware("card that is not there", append(MACHINE, "[gpu]\n7.memory = 1GiB\n"), "gpu.7.memory"),
    hardware("a table that is none", append(MACHINE, "[measured]\nall_reduce = fast\n"), "measured.all_reduce", "fast"),
    hardware("not there", remove(MACHINE)),
    hardware("empty", write(MACHINE, ""), "missing"),
    ("plan: unknown key", nothing, f"{PLAN} --lora.rank 1", 2, ["'--lora.rank'"]),
    ("plan: more ranks than cards", nothing, f"{PLAN} --ranks 3", 2, ["--ranks", "3"]),
    ("plan: layout that does not divide", nothing, f"{PLAN} --training.global_batch_size 3", 2, ["global_batch_size = 3"]),
    ("plan: model not there", nothing, f"{PLAN} --model.path nowhere", 2, ["model.path = nowhere"]),
    ("plan: config.json", keys("model/config.json", vocab_size=0), PLAN, 3, ["model/config.json", "vocab_size"]),
]
