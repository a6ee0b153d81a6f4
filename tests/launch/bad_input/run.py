#!/usr/bin/env python3
"""run.py PROGRAM ROOT [NAME...]: over a hundred broken files, command lines and paths, each given to the real program.

Every row of the tables must end with its exit code, on one rank, and for train and eval on two, or on as many as it says; with exactly one `tandem: error:` line, which
names the file, line, key or tensor; and with nothing new in the working directory but what a refused run may leave. NAME picks the rows whose
names contain it. Needs Python 3 alone.
"""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import table_layout
import table_model
import table_plan
import table_state
import table_text
import table_typed
import workspace

SECONDS = 30  # for one start of the program, with the machine busy
# What a run that is refused may leave: the proof that ranks see one directory, its reason, data that were prepared well, and the head of a log.
MAY_APPEAR = re.compile(r"(run|fresh)(/\.tandem|/failure\.json|/cache(/\.prepare\.lock|/tokens-[0-9a-f]{16}\.h5)?)?$")
# Beside that, of a run that had begun before what is wrong was met.
MAY_CHANGE = {"run/log.jsonl", "run/manifest.json", "run/.tandem"}
STARTED = re.compile(r"(run|fresh)/(log\.jsonl|manifest\.json|checkpoints|checkpoints/step-[0-9]+\.h5)$")
CRASH = re.compile(r"terminate called|what\(\):|Sanitizer|runtime error:|[Ss]egmentation fault|Signal: |Assertion|core dumped|Traceback")


def started_late(case):
    return case[0].startswith(("full disk", "output:"))


def leftovers(before, after, late):
    """What must not be there after a refused run: (name, why)."""
    for name, contents in after.items():
        if name not in before:
            if not MAY_APPEAR.fullmatch(name) and not (late and STARTED.fullmatch(name)):
                yield f"{name} was left behind"
        elif before[name] != contents and name not in MAY_CHANGE:
            yield f"{name} was changed"
    for name in before.keys() - after.keys():
        if not (late and name.startswith("run/checkpoints/step-")):
            yield f"{name} is gone"


def full_disk(word):
    """For "limited:8": what a process does at its start so that no file of it grows beyond 8 KiB."""
    if not word.startswith("limited:"):
        return None
    most = 1024 * int(word.split(":")[1])

    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write fails with EFBIG, as it does with ENOSPC on a full disk
    return limit_files


def ranks_of(command):
    """The numbers of ranks to start a row's command on, and the command without "ranks:4"."""
    first, _, rest = command.partition(" ")
    if first.startswith("ranks:"):
        return (int(first.split(":")[1]),), rest
    return ((1, 2) if first in ("train", "eval") else (1,)), command


def start(case, folder, program, root, ranks):
    words = ranks_of(case[2])[1].split()
    limit = full_disk(words[0])
    words = [program] + (words[1:] if limit else words)
    if ranks > 1:
        words = [str(root / "tests/support/mpi-run"), str(ranks), str(SECONDS)] + words
    environment = dict(os.environ, OMP_NUM_THREADS="1", TMPDIR=str(folder.parent))
    return subprocess.run(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS + 15, check=False,
                          preexec_fn=limit)


def check(case, good, scratch, program, root, ranks):
    """Complaints about one row on `ranks` ranks, with what the program said."""
    _, action, _, code, parts = case
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        folder = Path(directory) / "work"
        shutil.copytree(good, folder)
        try:
            action(folder)
        except (AssertionError, KeyError, ValueError, OSError) as error:
            return [f"the row does not apply: {error!r}"], ""
        before = workspace.snapshot(folder)
        try:
            ended = start(case, folder, program, root, ranks)
        except subprocess.TimeoutExpired as late:
            return [f"no end after {late.timeout} s"], ""
        said = ended.stderr.decode(errors="replace")
        lines = [text for text in said.split("\n") if text.startswith("tandem: error: ")]
        complaints = [f"exit code {ended.returncode}, expected {code}"] if ended.returncode != code else []
        if len(lines) != 1:
            complaints.append(f"{len(lines)} messages, expected 1")
        complaints += [f"the message does not name {part!r}" for part in parts if not any(part in text for text in lines)]
        if CRASH.search(said):
            complaints.append("it crashed")
        complaints += leftovers(before, workspace.snapshot(folder), started_late(case))
        return complaints, said


def make_good(scratch, program, root):
    """Workspaces to start from: files alone, and with a run of two steps in them."""
    fresh, trained = scratch / "fresh", scratch / "trained"
    workspace.make(fresh, root)
    shutil.copytree(fresh, trained)
    for words in (["train", "run.ini"], ["eval", "run.ini"], ["eval", "run.ini", "--lora.adapter", "adapter"], ["import", "model.gguf", "new"],
                  ["plan", "run.ini", "--hardware", "machine.ini"]):
        ended = subprocess.run([program, *words], cwd=trained, capture_output=True, text=True, timeout=SECONDS * 4, check=False)
        if ended.returncode != 0:
            sys.exit(f"tandem {' '.join(words)} of the unbroken workspace: exit code {ended.returncode}\n{ended.stdout}{ended.stderr}")
    shutil.rmtree(trained / "new")
    return fresh, trained


def main():
    program, root, names = str(Path(sys.argv[1]).resolve()), Path(sys.argv[2]).resolve(), sys.argv[3:]
    cases = table_typed.CASES + table_model.CASES + table_text.CASES + table_state.CASES + table_plan.CASES + table_layout.CASES
    labels = [case[0] for case in cases]
    assert len(set(labels)) == len(labels), sorted(label for label in labels if labels.count(label) > 1)
    if names:
        cases = [case for case in cases if any(name in case[0] for name in names)]
    failures = runs = 0
    with tempfile.TemporaryDirectory(prefix="tandem-bad-input-") as directory:
        scratch = Path(directory)
        fresh, trained = make_good(scratch, program, root)
        work = []
        # mpirun waits for two seconds after a rank that failed, and uses no processor meanwhile.
        with ThreadPoolExecutor(max_workers=5 * (os.cpu_count() or 1)) as pool:
            for case in cases:
                good = trained if case in table_state.CASES else fresh
                for ranks in ranks_of(case[2])[0]:
                    work.append((case, ranks, pool.submit(check, case, good, scratch, program, root, ranks)))
            for case, ranks, result in work:
                complaints, said = result.result()
                runs += 1
                if complaints:
                    failures += 1
                    print(f"{case[0]} ({ranks} rank(s): tandem {case[2]}):\n    " + "\n    ".join(complaints))
                    print("".join(f"      | {text}\n" for text in said.strip().split("\n")), flush=True)
    print(f"bad input: {len(cases)} cases, {runs} runs, {failures} not as expected")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
