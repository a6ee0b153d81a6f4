#!/usr/bin/env python3
"""stalled.py PROGRAM ROOT [--emulated]: training under launch/tandem in which a rank stops (SIGSTOP), wakes while the job is ending (SIGCONT), or is killed
(kill -9). The job ends in time and non-zero, its last line names the rank, failure.json has the same, and no process is left; a run in which
nothing happens is not disturbed. --emulated: on the emulated GPU, whose steps are slow, only the first. Needs Python 3 and mpirun.
"""

import json
import os
import re
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

from interrupted import CONFIG, SOON, Job, Wrong, expect, lines

GRACE = 5  # seconds after the deadline
ENOUGH = 90  # seconds for anything; the times that matter are compared
LAYOUTS = {2: ("", 2), 4: ("pipeline = 2\nzero = 2", 4)}


def rank_of(process):
    environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    return next(int(entry.split(b"=")[1]) for entry in environment if entry.startswith(b"OMPI_COMM_WORLD_RANK="))


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Suite:
    def __init__(self, root, scratch, emulated):
        self.root, self.scratch, self.runs = root, scratch, 0
        self.words = ["--device.backend", "cuda"] if emulated else []
        self.deadline, self.warm = (15, 2) if emulated else (4, 20)

    def start(self, ranks, steps, *words):
        """A run that would take for ever but for `steps`, once it trains."""
        self.runs += 1
        output = self.scratch / f"run{self.runs}"
        layout, batch = LAYOUTS[ranks]
        config = self.scratch / f"run{self.runs}.ini"
        config.write_text(CONFIG.format(root=self.root, steps=steps, output=output, layout=layout, batch=batch))
        return Job([self.root / "launch/tandem", "-n", ranks, "train", config, "--watchdog.deadline", self.deadline, *self.words, *words], output)

    def start_training(self, ranks):
        job = self.start(ranks, 10**6, "--checkpoint.every", 0, "--evaluation.every", 0)
        expect(job.wait_until(lambda: len(lines_so_far(job.output)) >= self.warm), f"ended before it trained:\n{job.text()}")
        return job, {rank_of(process): process for process in job.processes("tandem")}

    def check_end(self, job, processes, began, limit, last, ranks):
        code = job.wait(ENOUGH)
        seconds = time.monotonic() - began
        said = job.text()
        expect(code not in (0, 75), f"exit code {code}:\n{said}")
        expect(seconds <= limit, f"{seconds:.1f} s to the end of the job, at most {limit} are allowed:\n{said}")
        final = said.rstrip("\n").splitlines()[-1]
        expect(re.fullmatch(last, final), f"the last line is not {last!r}:\n{said}")
        messages = set(re.findall(r"^tandem: error:.*$", said, re.M))
        expect(messages == {final}, f"several messages: {messages}\n{said}")
        left, patience = list(processes.values()), time.monotonic() + 3  # a killed process takes a moment to go
        while left and time.monotonic() < patience:
            time.sleep(0.1)
            left = [process for process in left if alive(process)]
        expect(not left, f"still running: {left}")
        return code, seconds, final

    def stop(self, ranks, victim, wake=False):
        job, processes = self.start_training(ranks)
        began = time.monotonic()
        os.kill(processes[victim], signal.SIGSTOP)
        if wake:
            expect(job.wait_until(lambda: "tandem: error:" in job.text()), f"no message:\n{job.text()}")
            os.kill(processes[victim], signal.SIGCONT)
        last = rf"tandem: error: rank {victim} on {re.escape(socket.gethostname())} stalled in .*step \d+.*, where .* for \d+ s: .*"
        code, seconds, final = self.check_end(job, processes, began, self.deadline + GRACE, last, ranks)
        expect(code == 1, f"exit code {code}")
        record = json.loads((job.output / "failure.json").read_text())
        expect(record["rank"] == victim and record["code"] == 1 and final == f"tandem: error: {record['message']}", f"failure.json: {record}")
        print(f"rank {victim} of {ranks} stopped{', then woken' if wake else ''}: {seconds:.1f} s; {final}", flush=True)

    def kill(self, ranks, victim):
        job, processes = self.start_training(ranks)
        began = time.monotonic()
        os.kill(processes[victim], signal.SIGKILL)
        last = rf"tandem: error: rank {victim} on .* died of signal 9 \(Killed\): .*"
        _, seconds, final = self.check_end(job, processes, began, SOON, last, ranks)
        print(f"rank {victim} of {ranks} killed: {seconds:.1f} s; {final}", flush=True)

    def undisturbed(self, ranks):
        """Steps, validations and checkpoints under a short deadline."""
        job = self.start(ranks, 6)
        expect(job.wait(2 * ENOUGH) == 0, f"a run in which nothing happened failed:\n{job.text()}")
        expect(len([line for line in lines(job.output) if "loss" in line]) == 6, "not every step is in the log")
        print(f"{ranks} ranks undisturbed", flush=True)


def lines_so_far(output):
    try:
        return (output / "log.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []


def main():
    program, root = (Path(word).resolve() for word in sys.argv[1:3])
    emulated = "--emulated" in sys.argv[3:]
    os.environ["TANDEM"] = str(program)
    with tempfile.TemporaryDirectory(prefix="tandem-stalled-") as directory:
        suite = Suite(root, Path(directory), emulated)
        try:
            suite.stop(2, 1)
            if emulated:
                return
            suite.undisturbed(4)
            suite.stop(2, 0)
            suite.stop(4, 2)
            suite.stop(2, 1, wake=True)
            suite.kill(2, 1)
            suite.kill(4, 0)
        except Wrong as what:
            sys.exit(f"FAILED: {what}")


if __name__ == "__main__":
    main()
