#!/usr/bin/env python3
"""interrupted.py PROGRAM ROOT [--instants N] [--seed S]: a run that is killed goes on as if it had not been: two data-parallel ranks, and
four ranks that are two pipelines of two stages whose optimizer state is shared out.

`kill -9` at N random instants, of one rank or of the whole job, every second time while a checkpoint is being written. A run is killed up to
three times; every start must go on from the newest checkpoint, which must be complete; log.jsonl has no torn line, no step twice and is
never behind the newest checkpoint. At the end the model and the log are those of an uninterrupted run, bit for bit, and no other file is there.
The same for SIGUSR1 at mpirun and SIGTERM at launch/tandem, which end with exit code 75. Needs Python 3 and mpirun.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = 10
SOON = 10  # seconds from kill -9 of a rank to the job's end
PATIENCE = 120  # seconds for a start, with the machine busy
ENDS_WITHIN = 20  # seconds for what is left of a job after kill -9 of one of its ranks
TIMES = ("step_seconds", "tokens_per_second", "memory_peak_bytes", "rss_peak_bytes")  # differ from run to run
CONFIG = """[model]
path = {root}/configs/tiny
init = random
dtype = fp32
[method]
type = full
[data]
train = {root}/tests/data/sample/train.jsonl
validation = {root}/tests/data/sample/validation.jsonl
chat_template = {root}/tests/tokenizer/templates/chatml.jinja
max_seq_length = 128
overlong = split
[evaluation]
every = 3
max_samples = 2
[training]
global_batch_size = {batch}
max_steps = {steps}
[parallel]
{layout}
[checkpoint]
every = 1
[output]
dir = {output}
"""


class Wrong(Exception):
    """What a run did that it must not do."""


def expect(condition, what):
    if not condition:
        raise Wrong(what)


def family(process):
    """The processes below `process`, itself included, as {id: its command's name}."""
    parents, names = {}, {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            text = Path(f"/proc/{entry}/stat").read_text()
        except OSError:
            continue
        names[int(entry)] = text[text.index("(") + 1:text.rindex(")")]
        parents[int(entry)] = int(text[text.rindex(")") + 2:].split()[1])
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {process: names[process] for process in found if process in names}


class Job:
    """A start of the program; `words` start it."""

    def __init__(self, words, output):
        self.output = output
        self.said = tempfile.TemporaryFile(mode="w+")
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        self.process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=self.said, stderr=subprocess.STDOUT,
                                        env=environment, start_new_session=True)

    def running(self):
        return self.process.poll() is None

    def processes(self, pattern):
        return [number for number, name in family(self.process.pid).items() if re.fullmatch(pattern, name)]

    def wait(self, seconds=PATIENCE):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill(everything=True)
            raise Wrong(f"no end after {seconds} s:\n{self.text()}") from None
        return code

    def text(self):
        self.said.seek(0)
        return self.said.read()

    def kill(self, everything):
        """kill -9 of one rank, or of every process of the job as when a machine goes down."""
        if everything:
            victims = list(family(self.process.pid))
        else:
            ranks = self.processes("tandem")
            victims = random.sample(ranks, 1) if ranks else list(family(self.process.pid))
        for victim in victims:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def wait_until(self, condition):
        """Whether it came about before the job ended."""
        while not condition():
            if not self.running():
                return False
            time.sleep(0.0002)
        return True


def lines(output):
    """log.jsonl without the times. Every line must be whole."""
    log = output / "log.jsonl"
    if not log.exists():
        return []
    text = log.read_text()
    expect(text == "" or text.endswith("\n"), f"{log}: the last line is torn: {text[-80:]!r}")
    return [{key: value for key, value in json.loads(line).items() if key not in TIMES} for line in text.splitlines()]


def newest_checkpoint(output):
    found = [int(match[1]) for name in names(output / "checkpoints") if (match := re.fullmatch(r"step-(\d+)\.h5", name))]
    return max(found, default=0)


def names(folder):
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def is_saving(output):
    return any(".h5.tmp-" in name for name in names(output / "checkpoints"))


def everything_in(output):
    return sorted(str(path.relative_to(output)) for path in output.rglob("*"))


def check_between(output):
    """What must hold whenever a run was ended."""
    steps = [line["step"] for line in lines(output) if "loss" in line]
    expect(steps == list(range(1, len(steps) + 1)), f"log.jsonl has the steps {steps}")
    expect(len(steps) >= newest_checkpoint(output), f"{len(steps)} steps in log.jsonl, but a checkpoint of step {newest_checkpoint(output)}")


def check_start(job, newest):
    """What a start says about where it goes on."""
    said = job.text()
    expect("falling back" not in said, f"a checkpoint was not complete:\n{said}")
    if "memory before the first step" in said:  # it got that far
        resumed = re.search(r"after step (\d+)$", said, re.M)
        found = int(resumed[1]) if resumed else 0
        expect(found == newest, f"went on after step {found}, but the newest checkpoint is of step {newest}:\n{said}")


def check_end(output, straight):
    for name in everything_in(straight):
        expect((output / name).exists(), f"{name} is missing")
    extra = set(everything_in(output)) - set(everything_in(straight))
    expect(not extra, f"left over: {sorted(extra)}")
    expect(lines(output) == lines(straight), f"log.jsonl differs:\n{lines(output)}\n{lines(straight)}")
    for path in (straight / "model").iterdir():
        expect((output / "model" / path.name).read_bytes() == path.read_bytes(), f"model/{path.name} differs")


class Suite:
    def __init__(self, program, root, scratch, ranks=2, layout="", batch=2):
        self.program, self.root, self.scratch, self.outputs, self.ranks = program, root, scratch, 0, ranks
        self.layout, self.batch = layout, batch
        self.mpi = [root / "tests/support/mpi-run", ranks, PATIENCE, program]
        self.straight = self.fresh_output()
        start = time.monotonic()
        self.finish(self.straight)
        self.seconds = time.monotonic() - start

    def fresh_output(self):
        self.outputs += 1
        output = self.scratch / f"run{self.ranks}-{self.outputs}"
        text = CONFIG.format(root=self.root, steps=STEPS, output=output, layout=self.layout, batch=self.batch)
        (self.scratch / f"{output.name}.ini").write_text(text)
        return output

    def start(self, output, launcher=None):
        job = Job([*(launcher or self.mpi), "train", self.scratch / f"{output.name}.ini"], output)
        job.newest = newest_checkpoint(output)
        return job

    def finish(self, output):
        job = self.start(output)
        code = job.wait()
        expect(code == 0, f"exit code {code}:\n{job.text()}")
        check_start(job, job.newest)

    def kill_once(self, output, saving):
        """One start and one kill; False where the run came to its end before."""
        job = self.start(output)
        end = time.monotonic() + random.uniform(0, self.seconds)
        alive = job.wait_until(lambda: time.monotonic() > end)
        if alive and saving:
            alive = job.wait_until(lambda: is_saving(output))
        if not alive:
            expect(job.wait() == 0, f"a run that nobody killed failed:\n{job.text()}")
            return False
        job.kill(everything=random.random() < 0.5)
        job.wait(ENDS_WITHIN)
        check_start(job, job.newest)
        check_between(output)
        return True

    def kill(self, instants):
        done = torn = 0

        def enough():  # a save may be over by the time the signal arrives
            return done >= instants and (torn > 0 or done >= 4 * instants)

        while not enough():
            output = self.fresh_output()
            for _ in range(3):
                if enough() or not self.kill_once(output, saving=done % 2 == 1):
                    break
                done += 1
                torn += is_saving(output)
            self.finish(output)
            check_end(output, self.straight)
        print(f"killed at {done} instants, {torn} of them in the middle of a save")
        expect(torn > 0, "no kill met a save")

    def lose_a_rank(self):
        """What is left of a job after kill -9 of one of its ranks ends soon, and says once what happened."""
        output = self.fresh_output()
        job = self.start(output)
        expect(job.wait_until(lambda: newest_checkpoint(output) >= 1), f"ended before a rank could be killed:\n{job.text()}")
        start = time.monotonic()
        job.kill(everything=False)
        code = job.wait(ENDS_WITHIN)
        seconds = time.monotonic() - start
        said = job.text()
        expect(code not in (0, 75), f"exit code {code} after kill -9 of a rank:\n{said}")
        expect(seconds <= SOON, f"{seconds:.1f} s from kill -9 of a rank to the end of the job:\n{said}")
        expect(len(re.findall(r"exited on signal 9|signal 9 \(Killed\)", said)) == 1, f"not told once that a rank was killed:\n{said}")
        expect("tandem: error: " not in said, f"a rank that only lost a peer reports an error of its own:\n{said}")
        check_between(output)
        print(f"kill -9 of one of {self.ranks} ranks: exit code {code} after {seconds:.1f} s")

    def stop(self, name, number, launcher, receiver):
        """A signal in the middle of the run: exit code 75, and the next start goes on."""
        output = self.fresh_output()
        job = self.start(output, launcher)
        expect(job.wait_until(lambda: newest_checkpoint(output) >= 2), f"{name}: ended before it could be stopped:\n{job.text()}")
        for target in job.processes(receiver) if receiver else [job.process.pid]:
            os.kill(target, number)
        code = job.wait()
        expect(code == 75, f"{name}: exit code {code}, expected 75:\n{job.text()}")
        expect(2 <= newest_checkpoint(output) < STEPS, f"{name}: stopped after step {newest_checkpoint(output)}")
        check_between(output)
        self.finish(output)
        check_end(output, self.straight)
        print(f"{name}: exit code 75, and the same end")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=lambda text: Path(text).resolve())
    parser.add_argument("root", type=lambda text: Path(text).resolve())
    parser.add_argument("--instants", type=int, default=6)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    random.seed(arguments.seed)
    os.environ["TANDEM"] = str(arguments.program)
    with tempfile.TemporaryDirectory(prefix="tandem-interrupted-") as directory:
        try:
            suite = Suite(arguments.program, arguments.root, Path(directory))
            print(f"uninterrupted: {suite.seconds:.1f} s", flush=True)
            suite.kill(arguments.instants)
            suite.stop("SIGUSR1 at mpirun", signal.SIGUSR1, None, "mpirun|orterun|prterun")
            suite.stop("SIGTERM at launch/tandem", signal.SIGTERM, [arguments.root / "launch/tandem", "-n", 2], None)
            pipelines = Suite(arguments.program, arguments.root, Path(directory), ranks=4, layout="pipeline = 2\nzero = 2", batch=4)
            print(f"two pipelines, uninterrupted: {pipelines.seconds:.1f} s", flush=True)
            pipelines.lose_a_rank()
            pipelines.kill(max(arguments.instants // 3, 2))
            pipelines.stop("SIGUSR1 at mpirun", signal.SIGUSR1, None, "mpirun|orterun|prterun")
        except Wrong as what:
            sys.exit(f"FAILED: {what}")


if __name__ == "__main__":
    main()
