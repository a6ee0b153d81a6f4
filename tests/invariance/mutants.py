#!/usr/bin/env python3
"""Proves that the golden and invariance tests see what they are for: breaks one line at a time and expects them to fail.

    python3 tests/invariance/mutants.py [--work DIR] [NAME ...]

Works on a copy of the tree under DIR (build/mutants), whose build is reused; needs what launch/build needs and some minutes.
Exit status 1 when a mutant survives or no longer applies.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN, LAYOUT, RESUME = "golden/golden_test", "invariance/layout_test", "invariance/resume_test"

# name, file, text, its replacement, test program that must fail, tests of it
MUTANTS = [
    ("gradients not reduced over ranks", "parallel/gradient_buckets.cpp",
     "data_.all_reduce(ctx.stream, buckets_[bucket].gradient);", "return;", LAYOUT, "*lora_fp32"),
    ("last bucket not reduced", "parallel/gradient_buckets.cpp",
     "if (!buckets_[bucket].shard.pieces.empty())", "if (!buckets_[bucket].shard.pieces.empty() && bucket + 1 < buckets_.size())", LAYOUT,
     "*full_untied_fp32"),
    ("loss of this rank only", "src/engine/engine.cpp", "data_.sum(sum);", "", LAYOUT, "*lora_fp32"),
    ("gradients not zeroed between steps", "src/train/trainer.cpp", "engine_->start();", "if (step == 1) engine_->start();", GOLDEN,
     "*TrainingSteps*llama_gqa_fp64*"),
    ("divided by all tokens", "src/train/trainer.cpp", "engine_->update(r.learning_rate, r.trained_tokens,",
     "engine_->update(r.learning_rate, r.tokens,", GOLDEN, "*TrainingSteps*llama_gqa_fp32_cpu"),
    ("bias correction of step 1 for ever", "src/engine/optimizer.cpp", "settings_.eps, decay, step}", "settings_.eps, decay, 1}", GOLDEN,
     "*TrainingSteps*llama_gqa_fp32_cpu"),
    ("no weight decay", "src/engine/optimizer.cpp", "return settings_.weight_decay;", "return 0.0;", GOLDEN,
     "*TrainingSteps*llama_gqa_fp32_cpu"),
    ("no clipping", "src/engine/optimizer.cpp", "settings_.max_grad_norm, 1.0 /", "0.0, 1.0 /", GOLDEN, "*TrainingSteps*llama_gqa_fp32_cpu"),
    ("schedule one step ahead", "src/train/lr_schedule.cpp", "static_cast<double>(step - 1)", "static_cast<double>(step)", GOLDEN,
     "*TrainingSteps*llama_gqa_fp32_cpu"),
    ("head gradient forgotten", "src/model/head.cpp", "if (weight->trainable) ops::matmul", "if (false) ops::matmul", GOLDEN,
     "*Gradients*tied_fp32_cpu"),
    ("dA without the LoRA scale", "src/model/linear.cpp", "a->gradient, scale,", "a->gradient, 1.0,", GOLDEN, "*Gradients*gqa_fp32_cpu"),
    ("bias gradient forgotten", "src/model/linear.cpp", "if (bias && bias->trainable)", "if (false)", GOLDEN, "*Gradients*bias_fp32_cpu"),
    ("gradient of the query norm forgotten", "src/model/block.cpp", "gradient_of(*q_norm)", "Tensor()", GOLDEN,
     "*Gradients*norm_fp32_cpu"),
    ("window one too wide", "src/model/block.cpp", ".window = window", ".window = window > 0 ? window + 1 : 0", GOLDEN,
     "*EvaluationLoss*window_fp32_cpu"),
    ("llama3 frequencies not stretched", "src/model/rope.cpp", "x = llama3(rope, x);", "(void)llama3(rope, x);", GOLDEN,
     "*EvaluationLoss*rope_fp32_cpu"),
    ("packed samples see each other", "src/data/micro_batch.cpp",
     "    batch.cu_seqlens.push_back(static_cast<std::int32_t>(batch.ids.size()));\n",
     "    if (batch.cu_seqlens.size() > 1) batch.cu_seqlens.back() = static_cast<std::int32_t>(batch.ids.size());\n"
     "    else batch.cu_seqlens.push_back(static_cast<std::int32_t>(batch.ids.size()));\n"
     "    batch.max_length = batch.tokens;\n", GOLDEN, "*TrainingSteps*gqa_fp32_cpu"),
    ("last token predicts its own label", "src/data/micro_batch.cpp", "labels.back() = kNotTrained;", "", GOLDEN,
     "*EvaluationLoss*gqa_fp32_cpu"),
    ("dropout masks by position in the micro-batch", "src/data/micro_batch.cpp",
     "epoch * file.tokens() + file.offset(sample));", "static_cast<std::int64_t>(first));", LAYOUT, "*dropout*"),
    ("second moment not restored", "src/train/checkpoint.cpp", "            state.write(ctx, i, part, read_verified(file, dataset));",
     "            if (part != StatePart::SecondMoment) state.write(ctx, i, part, read_verified(file, dataset));", RESUME, "*AtEveryStep*"),
    ("step not restored", "src/train/trainer_setup.cpp", "done_ = header.step;", "done_ = header.step - 1;", RESUME, "*AtEveryStep*"),
]


def run(command: list, directory: Path) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in command], cwd=directory, capture_output=True, text=True, check=False)


def build(tree: Path, targets: list) -> None:
    result = run(["cmake", "--build", "build", "-j2", "--target", *targets], tree)
    if result.returncode != 0:
        sys.exit(f"does not build:\n{result.stdout[-3000:]}{result.stderr[-3000:]}")


def prepare(tree: Path) -> None:
    """A copy of the tracked and untracked files, newer than the copy before only where they differ. Other files go, but for the build."""
    listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], ROOT).stdout.splitlines()
    for old in [path for path in tree.rglob("*") if path.is_file() and path.relative_to(tree).parts[0] != "build"]:
        if str(old.relative_to(tree)) not in listed:
            old.unlink()
    for name in listed:
        source, target = ROOT / name, tree / name
        if not source.is_file() or (target.is_file() and target.read_bytes() == source.read_bytes()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        target.touch()
    configured = run(["cmake", "-S", ".", "-B", "build"], tree)
    if configured.returncode != 0:
        sys.exit(configured.stdout + configured.stderr)
    build(tree, ["tandem", "golden_test", "layout_test", "resume_test"])


def fails(tree: Path, program: str, tests: str) -> bool:
    return run([tree / "build/tests" / program, f"--gtest_filter={tests}"], tree).returncode != 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "build/mutants")
    parser.add_argument("names", nargs="*", help="mutants whose names contain one of these; default all")
    arguments = parser.parse_args()
    tree = arguments.work.resolve()
    prepare(tree)
    chosen = [mutant for mutant in MUTANTS if not arguments.names or any(word in mutant[0] for word in arguments.names)]
    # What fails on the unbroken tree proves nothing.
    for program, tests in dict.fromkeys((program, tests) for *_, program, tests in chosen):
        if fails(tree, program, tests):
            sys.exit(f"{program} {tests} fails without any mutant")
    survivors = 0
    for name, file, text, replacement, program, tests in chosen:
        original = (tree / file).read_text()
        if original.count(text) != 1:
            verdict = f"does not apply: the text occurs {original.count(text)} times in {file}"
        else:
            (tree / file).write_text(original.replace(text, replacement))
            build(tree, ["tandem"])
            verdict = "seen" if fails(tree, program, tests) else "SURVIVES"
            (tree / file).write_text(original)
        survivors += verdict != "seen"
        print(f"{name}: {verdict} ({program} {tests})", flush=True)
    build(tree, ["tandem"])
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
