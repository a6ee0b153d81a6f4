#!/usr/bin/env python3
"""Proves that the golden and invariance tests see what they are for: breaks one line at a time and expects them to fail.

    python3 tests/invariance/mutants.py [--work DIR] [NAME ...]      as a table, with the seconds that the failing test took

Works on a copy of the tree under DIR (build/mutants), whose build is reused; needs what launch/build needs and some minutes.
Exit status 1 when a mutant survives or no longer applies.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN, LAYOUT, RESUME = "golden/golden_test", "invariance/layout_test", "invariance/resume_test"
WALK, WALK_RESUME = "walk", "walk --resume"  # on some ranks; see the walk's --only
SECONDS_A_WALK = 90  # after which ranks that wait for each other are ended

# name, file, text, its replacement, test program that must fail, tests of it: GoogleTest's filter, or "RANKS: cases"
MUTANTS = [
    ("gradients not reduced over ranks", "parallel/gradient_buckets.cpp",
     "groups_.data.reduce_scatter(ctx.stream, bucket.gradient, sum);", "", LAYOUT, "*lora_fp32"),
    ("last bucket not reduced", "parallel/gradient_buckets.cpp",
     "if (bucket.pieces.empty()) return;\n    if (!sharded_) return", "if (bucket.pieces.empty() || b + 1 == buckets_.size()) return;\n"
     "    if (!sharded_) return", LAYOUT, "*full_untied_fp32"),
    ("loss of this rank only", "src/engine/engine.cpp", "groups_.world.sum(sum);", "", LAYOUT, "*lora_fp32"),
    ("gradients not zeroed between steps", "src/engine/engine.cpp", "buckets_.zero(ctx);", "if (!running_) buckets_.zero(ctx);", GOLDEN,
     "*TrainingSteps*llama_gqa_fp64*"),
    ("divided by all tokens", "src/train/trainer.cpp", "engine_->clip(r.trained_tokens)", "engine_->clip(r.tokens)", GOLDEN,
     "*TrainingSteps*llama_gqa_fp32_cpu"),
    ("bias correction of step 1 for ever", "src/engine/optimizer.cpp", "settings_.eps, weight_decay(p), step}",
     "settings_.eps, weight_decay(p), step > 0 ? 1 : step}", GOLDEN,
     "*TrainingSteps*llama_gqa_fp32_cpu"),
    ("no weight decay", "src/engine/optimizer.cpp", "return settings_.weight_decay;", "return 0.0;", GOLDEN,
     "*TrainingSteps*llama_gqa_fp32_cpu"),
    ("no clipping", "src/engine/optimizer.cpp", "settings_.max_grad_norm, 1.0 /", "0.0, 1.0 /", GOLDEN, "*TrainingSteps*llama_gqa_fp32_cpu"),
    ("schedule one step ahead", "src/train/lr_schedule.cpp", "static_cast<double>(step - 1)", "static_cast<double>(step)", GOLDEN,
     "*TrainingSteps*llama_gqa_fp32_cpu"),
    ("head gradient forgotten", "src/model/head.cpp", "if (!weight->trainable) return;", "return;", GOLDEN,
     "*Gradients*tied_fp32_cpu"),
    ("dA without the LoRA scale", "src/model/linear.cpp", "layer.a->gradient, layer.scale,", "layer.a->gradient, 1.0,", GOLDEN, "*Gradients*gqa_fp32_cpu"),
    ("bias gradient forgotten", "src/model/linear.cpp", "if (layer.bias && layer.bias->trainable)", "if (false)", GOLDEN, "*Gradients*bias_fp32_cpu"),
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
     "epoch * file.tokens() + file.offset(sample));", "static_cast<std::int64_t>(first) + 0 * epoch);", LAYOUT, "*dropout*"),
    ("second moment not restored", "src/train/checkpoint.cpp", "state.write(ctx, owned, values);",
     "if (owned.part != StatePart::SecondMoment) state.write(ctx, owned, values);", RESUME, "*AtEveryStep*"),
    ("8-bit: scales of the second moment not restored", "src/train/checkpoint.cpp", "state.write(ctx, owned, values);",
     "if (owned.part != StatePart::SecondAbsmax) state.write(ctx, owned, values);", RESUME, "*AtEveryStep*8bit*"),
    ("8-bit: pages do not go home", "src/engine/paged_states.cpp",
     "ctx.backend.copy_to_host(*copies_, bytes_in(buffer, k), host_.at(pages_[k].home));", "", LAYOUT, "*PagedStates*"),
    ("8-bit: blocks counted from the shard's beginning", "src/engine/train_state.cpp", "piece.first / unit, (piece", "0 * unit, (piece", RESUME,
     "*InAnotherLayout*8bit*"),
    ("step not restored", "src/train/trainer_setup.cpp", "done_ = header.step;", "done_ = header.step - 1;", RESUME, "*AtEveryStep*"),
]


QUANTISED = [
    ("quantised: scales from this rank's part alone", "src/model/quantized_weight.cpp", "group.max(all);", "", WALK,
     "2: qlora untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("quantised: every line has the first one's scales", "src/model/quantized_weight.cpp", "grid.first_block(line) + i,",
     "grid.first_block(0) + i,", WALK, "2: qlora untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("quantised: a rank's rows begin a block late", "src/model/quantized_weight.cpp", "const std::int64_t from = std::max(first, grid.line_first(line))",
     "const std::int64_t from = std::max(first, grid.line_first(line) / grid.block_size * grid.block_size)", WALK,
     "2: qlora untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
]


PARALLEL = [
    ("tensor: own part of row-parallel sums only", "src/model/linear.cpp",
     "rows.group.sum_scatter(ctx, partial.all, own.all);\n        ops::cast(ctx, own.wide(), y);",
     "ops::cast(ctx, rows.group.own_rows(partial.all), own.all);\n        ops::cast(ctx, own.wide(), y);", WALK,
     "2: full untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("tensor: own part of dh only", "src/model/linear.cpp",
     "rows.group.sum_scatter(ctx, partial.all, own.all);\n        if (dh)",
     "ops::cast(ctx, rows.group.own_rows(partial.all), own.all);\n        if (dh)", WALK,
     "2: full untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("tensor: replicas not summed", "parallel/gradient_buckets.cpp", "add_up(ctx, groups_.tensor, &Parameter::sum_over_tensor);", "", WALK,
     "2: full untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("tensor: replicas counted in the norm by every rank", "src/engine/optimizer.cpp",
     "if (table_[piece.parameter].counts_in_norm) ops::sum", "ops::sum", WALK,
     "2: lora untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("tensor: loss counted by every rank", "src/engine/engine.cpp", "if (place_.tensor > 0) sum[0] = 0;", "", WALK,
     "2: full untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("tensor: validation loss counted by every rank", "src/train/evaluate.cpp", "place.tensor == 0 ? stage.sum() : 0.0", "stage.sum()",
     WALK, "2: full untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("tensor: LoRA scale missing in column-parallel layers", "src/model/linear.cpp", "layer->scale, Write::Accumulate);  // y +=",
     "rows.group.split() ? 1.0 : layer->scale, Write::Accumulate);  // y +=", WALK,
     "2: lora untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("tensor: LoRA scale missing in row-parallel layers", "src/model/linear.cpp", "y, layer.scale, Write::Accumulate);",
     "y, rows.group.split() ? 1.0 : layer.scale, Write::Accumulate);", WALK,
     "2: lora untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("tensor: bias added by every rank before the sum as well", "src/model/linear.cpp",
     ": Tensor(), Bias::Skip);", ": Tensor(), Bias::Add);", WALK,
     "2: full tied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("tensor: bias gradient of all rows on every rank", "src/model/linear.cpp",
     "if (part == BackwardPart::Both) backward_weight(ctx, layer, all, x, dy);",
     "if (part == BackwardPart::Both) backward_weight(ctx, layer, all, x, all);", WALK,
     "2: full tied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("tensor: dropout masks of the first columns everywhere", "src/model/transformer.cpp", ".first_column = l.a->box.offset[1]",
     ".first_column = 0", WALK, "2: lora untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("tensor: dropout masks of the first rows everywhere", "src/model/linear.cpp", "dropped(ctx, *layer, rows.own_ids(), h);",
     "dropped(ctx, *layer, rows.ids ? rows.ids.rows(0, h.extent(0)) : rows.ids, h);", WALK,
     "2: lora untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("tensor: softmax statistics not combined", "src/model/head.cpp", "all.reshape({group.size(), n, 3})", "own.reshape({1, n, 3})", WALK,
     "2: full untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("tensor: padding rows of the vocabulary used", "src/model/head.cpp", "const Tensor w = rows();", "const Tensor w = weight->weight;",
     WALK, "2: full untied apart + tensor 2 pipeline 1 zero 2 1f1b micro 2"),
    ("data: every rank takes the first one's samples", "src/train/trainer.cpp",
     "mesh_.sizes().data, mesh_.place().data, config_", "mesh_.sizes().data, 0, config_", WALK,
     "3: full untied apart + data 3 tensor 1 pipeline 1 zero 0 1f1b micro 2"),
    ("data: norm counted by every rank of zero 0", "src/engine/optimizer.cpp", "&& buckets_.first_owner(); ++b", "; ++b", WALK,
     "3: full untied apart + data 3 tensor 1 pipeline 1 zero 0 1f1b micro 2"),
    ("data: gradients of zero 0 not reduced", "parallel/gradient_buckets.cpp",
     "if (!sharded_) return groups_.data.all_reduce(ctx.stream, bucket.gradient);", "if (!sharded_) return;", WALK,
     "3: full untied apart + data 3 tensor 1 pipeline 1 zero 0 1f1b micro 2"),
    ("norm of this rank's parts only", "src/engine/optimizer.cpp", "world_.all_reduce(ctx.stream, sum_);", "", WALK,
     "2: full untied apart + data 2 tensor 1 pipeline 1 zero 1 1f1b micro 2"),
    ("zero 2: sums of earlier micro-batches lost", "parallel/gradient_buckets.cpp", "ops::axpy(ctx, 1.0, sum, bucket.shard.gradient);",
     "ops::cast(ctx, sum, bucket.shard.gradient);", WALK, "2: full untied apart + data 2 tensor 1 pipeline 1 zero 2 1f1b micro 1"),
    ("zero 2: transit buffer not zeroed", "parallel/gradient_buckets.cpp",
     "ops::axpy(ctx, 1.0, sum, bucket.shard.gradient);\n    ops::zero(ctx, bucket.gradient);",
     "ops::axpy(ctx, 1.0, sum, bucket.shard.gradient);", WALK, "2: full untied apart + data 2 tensor 1 pipeline 1 zero 2 1f1b micro 1"),
    ("zero 1: one bucket not gathered", "parallel/gradient_buckets.cpp", "groups_.data.all_gather(ctx.stream, own, all);",
     "if (b != 2) groups_.data.all_gather(ctx.stream, own, all);", WALK,
     "2: full untied apart + data 2 tensor 1 pipeline 1 zero 1 1f1b micro 2"),
    ("zero 1: rectangles from their row's beginning", "src/engine/rectangles.cpp", "column = first % width;", "column = 0;", WALK,
     "2: full untied apart + data 2 tensor 1 pipeline 1 zero 1 1f1b micro 2"),
    ("zero 1: state of a piece's first rectangle in all of them", "src/engine/train_state.cpp", "offset += box.shape.elements();", "", WALK,
     "2: full untied apart + data 2 tensor 1 pipeline 1 zero 1 1f1b micro 2"),
    ("checkpoint: moments of a piece's first rectangle in all of them", "src/engine/train_state.cpp",
     "return optimizer_.write(ctx, box.bucket, box.part, box.offset, values);",
     "return optimizer_.write(ctx, box.bucket, box.part, 0, values);", WALK_RESUME, "2: data 2 tensor 1 pipeline 1"),
    ("pipeline: tied embedding's copies not summed", "parallel/gradient_buckets.cpp", "add_up(ctx, groups_.ends, &Parameter::sum_over_ends);",
     "", WALK, "2: full tied apart + data 1 tensor 1 pipeline 2 zero 2 1f1b micro 2"),
    ("pipeline: tied embedding counted twice in the norm", "src/model/parameters.cpp", "p.counts_in_norm = copy != Copy::Last;", "", WALK,
     "2: full tied apart + data 1 tensor 1 pipeline 2 zero 2 1f1b micro 2"),
    ("pipeline: the head's copy of a tied embedding not reduced", "parallel/lowering.cpp",
     "if (tied && unit == units() - 1 && unit != 0 && trained(0)) buckets.push_back(0);", "", WALK,
     "4: full tied apart + data 2 tensor 1 pipeline 2 zero 0 1f1b micro 1"),
    ("pipeline: the head's bucket not reduced", "parallel/insert_reductions.cpp", "held_.push_back(reduce(i, bucket));",
     "if (bucket != lowering_.units() - 1) held_.push_back(reduce(i, bucket));", WALK,
     "4: full untied apart + data 2 tensor 1 pipeline 2 zero 0 1f1b micro 1"),
    ("pipeline: validation loss of this stage only", "src/train/evaluate.cpp", "e.mesh.world().sum(batch_sum);", "", WALK,
     "2: full untied apart + data 1 tensor 1 pipeline 2 zero 2 1f1b micro 2"),
    ("pipeline: the first slot's output sent", "src/engine/model_stage.cpp", "return slot(in).inputs.back();",
     "return slots_.at(static_cast<std::size_t>(in.chunk)).front().inputs.back();", WALK,
     "2: full untied apart + data 1 tensor 1 pipeline 2 zero 2 1f1b micro 2"),
    ("pipeline: gradient of the first slot sent", "src/engine/model_stage.cpp", "return slot(in).gradient;",
     "return slots_.at(static_cast<std::size_t>(in.chunk)).front().gradient;", WALK,
     "2: full untied apart + data 1 tensor 1 pipeline 2 zero 2 gpipe micro 2"),
    ("pipeline: slot free before its backward", "parallel/lowering.cpp", "if (last[key] == i) unused",
     "if (last[key] == i || instruction.op == Op::SendForward) unused", WALK,
     "2: full untied apart + data 1 tensor 1 pipeline 2 zero 2 1f1b micro 1"),
    ("zb-h1: weight gradients of one layer forgotten", "src/engine/model_stage.cpp",
     "if (!is_layer(unit)) continue;\n        const auto at", "if (!is_layer(unit) || unit == 4) continue;\n        const auto at", WALK,
     "2: full untied apart + data 1 tensor 1 pipeline 2 zero 2 zb-h1 micro 2"),
    ("zb-h1: last weight gradients forgotten", "parallel/schedules.cpp",
     "while (weights < shape.micro_batches)", "while (weights + 1 < shape.micro_batches)", WALK,
     "2: full untied apart + data 1 tensor 1 pipeline 2 zero 2 zb-h1 micro 2"),
    ("zb-h1: gradient kept for later not copied", "src/model/block.cpp", "if (deferred) ops::cast(ctx, dy, deferred->o);", "", WALK,
     "2: full untied apart + data 1 tensor 1 pipeline 2 zero 2 zb-h1 micro 2"),
    ("interleaved: backward begins with the first chunk", "parallel/schedules.cpp", "op == Op::Forward ? chunk : shape.chunks - 1 - chunk",
     "chunk", WALK, "2: full untied apart + data 1 tensor 1 pipeline 2 zero 2 interleaved micro 2"),
    ("deferred weight gradients forgotten", "parallel/split_units.cpp", "if (deferred_.count() > 0) add(", "if (false) add(", WALK,
     "2: full untied apart + data 1 tensor 1 pipeline 2 zero 2 1f1b micro 2"),
    ("hoisted recomputation forgotten", "parallel/split_units.cpp", "if (hoisted_.count() > 0) add(", "if (false) add(", WALK,
     "2: full untied apart + data 1 tensor 1 pipeline 2 zero 2 1f1b micro 2 recompute"),
    ("recomputed from the layer before", "src/engine/model_stage.cpp", "s.batch->view, arena, s.inputs[at], y);",
     "s.batch->view, arena, s.inputs[std::max<std::size_t>(at, 1) - 1], y);", WALK,
     "2: full untied apart + data 1 tensor 1 pipeline 2 zero 2 1f1b micro 2 recompute"),
    ("recomputed: a layer too many let go", "src/engine/model_stage.cpp", "stack.release(s.stacked[at].first);",
     "stack.release(s.stacked[at].first - s.stacked[at].first / 8);", WALK,
     "2: full untied apart + data 1 tensor 1 pipeline 2 zero 2 1f1b micro 2 recompute"),
]

def run(command: list, directory: Path, more: dict = {}) -> subprocess.CompletedProcess:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=directory, env={**os.environ, **more}, capture_output=True, text=True, check=False)


def build(tree: Path, wanted: list) -> None:
    result = run(["cmake", "--build", "build", "-j2", "--target", *wanted], tree)
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


def is_walk(program: str) -> bool:
    return program in (WALK, WALK_RESUME)


def targets(program: str) -> list:
    """What is built to run `program`."""
    return ["walk"] if is_walk(program) else ["tandem", program.rsplit("/", maxsplit=1)[-1]]


def fails(tree: Path, program: str, tests: str) -> bool:
    if not is_walk(program):
        return run([tree / "build/tests" / program, f"--gtest_filter={tests}"], tree).returncode != 0
    ranks, only = tests.split(": ")
    scratch = tree / "build/mutants-scratch"  # what a mutant leaves behind when it is ended
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    words = [tree / "build/walk", *program.split()[1:], "--only", only]
    return run([tree / "tests/support/mpi-run", ranks, SECONDS_A_WALK, *words], tree, {"TMPDIR": str(scratch)}).returncode != 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "build/mutants")
    parser.add_argument("names", nargs="*", help="mutants whose names contain one of these; default all")
    arguments = parser.parse_args()
    tree = arguments.work.resolve()
    prepare(tree)
    chosen = [mutant for mutant in [*MUTANTS, *QUANTISED, *PARALLEL] if not arguments.names or any(word in mutant[0] for word in arguments.names)]
    pairs = dict.fromkeys((program, tests) for *_, program, tests in chosen)
    build(tree, sorted({target for program, _ in pairs for target in targets(program)}))
    # What fails on the unbroken tree proves nothing.
    for program, tests in pairs:
        if fails(tree, program, tests):
            sys.exit(f"{program} {tests} fails without any mutant")
    survivors = 0
    print("| mutant | seen by | | s |\n|---|---|---|---|", flush=True)
    for name, file, text, replacement, program, tests in chosen:
        original = (tree / file).read_text()
        seconds = ""
        if original.count(text) != 1:
            verdict = f"does not apply: the text occurs {original.count(text)} times in {file}"
        else:
            (tree / file).write_text(original.replace(text, replacement))
            build(tree, targets(program))
            start = time.time()
            verdict = "seen" if fails(tree, program, tests) else "SURVIVES"
            seconds = f"{time.time() - start:.0f}"
            (tree / file).write_text(original)
        survivors += verdict != "seen"
        print(f"| {name} | `{program.rsplit('/', maxsplit=1)[-1]}`, `{tests}` | {verdict} | {seconds} |", flush=True)
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
