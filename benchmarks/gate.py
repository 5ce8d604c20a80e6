"""Whether ``tledge bench --fail-on`` catches what is planted, and says nothing where nothing changed.

    python benchmarks/gate.py [--run runs/latest] [--times 3] [--threads 1] [--rounds 10] [--slower 0.10]
        [--lost 0.02]

Copies of a run hold int8.onnx as it is and a float32.onnx that is

* rebuilt: the same model in another file;
* slower: layers that change nothing stand before its pooling, as many as cost about a tenth, measured side by side;
* less accurate: its head leans to one class, so that two points of the test photos are lost.

Each is benchmarked as its user does and held against the first build, which is benchmarked anew each time: rebuilt on
a machine left alone, and beside a process that keeps one core busy. To be: every planted loss is caught; a slowdown is
caught, or not judged because the machine was not quiet; and no row of what is only rebuilt is called faster, slower,
better or worse.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tledge.bench.results.stored_results import read_stored
from tledge.core.artifact import read_artifact, write_artifact
from tledge.core.run_directory import RunDirectory, find_run
from tledge.edge_runtime import Classifier

PLANTED, CONTROL = "float32.onnx", "int8.onnx"
RUNTIME = "onnxruntime"
"""ONNX files: in one quiet benchmark the rounds of float TFLite files differed by 7%, those of theirs by 2."""
SLOWER, LESS_ACCURATE = f"{PLANTED}: p50_ms > 1.05x", f"{PLANTED}: top1_drop > 0.01"
FIRST_LAYERS = 16
QUERIES = 400


@dataclass(frozen=True)
class Told:
    """What one benchmark said.

    Attributes:
        code: its exit code.
        rows: its comparison's rows.
        violations, unjudged: its gate's lines.
    """

    code: int
    rows: list[dict[str, Any]]
    violations: list[str]
    unjudged: list[str]

    @property
    def planted(self) -> dict[str, Any]:
        """The row of the artifact that something was done to."""
        return next(row for row in self.rows if row["artifact"] == PLANTED)

    @property
    def said(self) -> list[str]:
        """Every "faster", "slower", "better" and "worse" of it."""
        return [f"{row['artifact']} {word}" for row in self.rows for word in row["verdicts"]]


class Builder:
    """Makes variants of a run's Keras model, each in a copy of the run.

    Args:
        run: the run.
        folder: where the copies go.
    """

    def __init__(self, run: RunDirectory, folder: Path) -> None:
        import keras

        self._run = run
        self._folder = folder
        self._model = keras.saving.load_model(run.model, compile=False)
        self._sidecar = read_artifact(run.artifacts / PLANTED).sidecar

    def place(self, name: str, model: Any = None) -> RunDirectory:
        """Copies the run with nothing but the control and a build of a model in it."""
        from tledge.export.format import FORMATS
        from tledge.export.recipes import RECIPES

        copy = RunDirectory(self._folder / name)
        shutil.copytree(self._run.path, copy.path, ignore=shutil.ignore_patterns("artifacts", "bench"))
        copy.artifacts.mkdir()
        for path in self._run.artifacts.glob(f"{CONTROL}*"):
            shutil.copy(path, copy.artifacts)
        content = FORMATS.load("onnx").convert(self._model if model is None else model, RECIPES[0], None)
        sidecar = replace(self._sidecar, versions={**self._sidecar.versions, "build": name})
        write_artifact(copy.artifacts / PLANTED, content, sidecar)
        return copy

    def with_layers(self, count: int) -> Any:
        """The model with depthwise convolutions before its pooling that give what they get."""
        import keras

        head = [layer for layer in self._model.layers if len(layer.output.shape) == 2]
        x = head[0].input
        channels = x.shape[-1]
        kernel = np.zeros((3, 3, channels, 1), np.float32)
        kernel[1, 1] = 1
        for _ in range(count):
            layer = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)
            x = layer(x)
            layer.set_weights([kernel])
        for layer in head:
            x = layer(x)
        return keras.Model(self._model.input, x)

    def with_bias(self, shift: float) -> Any:
        """The model with a head that leans to its first class."""
        import keras

        model = keras.models.clone_model(self._model)
        model.set_weights(self._model.get_weights())
        dense = model.layers[-1]
        kernel, bias = dense.get_weights()
        bias[0] += shift
        dense.set_weights([kernel, bias])
        return model


def measure_slowdown(slower: Path, base: Path, threads: int) -> float:
    """How many times the median latency of the one is that of the other, query by query in turn."""
    sides = [Classifier(path, target=f"{RUNTIME}:cpu:{threads}") for path in (slower, base)]
    photo = np.random.default_rng(0).integers(0, 256, (1, *sides[0].input_size, 3), np.uint8)
    latencies: tuple[list[int], list[int]] = ([], [])
    for number in range(QUERIES):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            began = time.perf_counter_ns()
            sides[side].logits(photo)
            latencies[side].append(time.perf_counter_ns() - began)
    return float(np.median(latencies[0]) / np.median(latencies[1]))


def find_shift(results: Path, target: str, lost: float) -> float:
    """By how much the first logit must rise that at least this share of the test photos is lost."""
    stored = read_stored(results)
    cell = stored.of(PLANTED, target)
    if cell is None or cell.samples is None:
        raise SystemExit(f"{PLANTED} was not measured on {target}")
    logits, labels = cell.samples.logits, np.array(stored.labels)
    others = logits[:, 1:].max(axis=1)
    before = (logits.argmax(axis=1) == labels).mean()
    for shift in np.sort(others - logits[:, 0]) + 1e-3:
        leaning = np.where(logits[:, 0] + shift > others, 0, 1 + logits[:, 1:].argmax(axis=1))
        if shift > 0 and before - (leaning == labels).mean() >= lost:
            return float(shift)
    raise SystemExit(f"no lean of the head loses {lost:.3f}")


def bench(run: RunDirectory, target: str, *more: str) -> Told:
    """Runs ``tledge bench`` as a user does."""
    command = [sys.executable, "-c", "from tledge.cli.main import main; main()", "bench", "--run", str(run.path)]
    command += ["--target", target, "--batch-sizes", "1", "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 3}:
        raise SystemExit(done.stderr)
    record = json.loads(done.stdout.splitlines()[-1])
    gate = record["gate"] or {"violations": [], "unjudged": []}
    rows = (record["comparison"] or {"rows": []})["rows"]
    return Told(done.returncode, rows, gate["violations"], gate["unjudged"])


@contextmanager
def one_core_busy() -> Iterator[None]:
    """Another process computes during the block."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def show(kind: str, told: Told) -> None:
    """A row of the table."""
    p50, top1 = (told.planted["changes"][metric] for metric in ("latency_p50", "top1"))
    interval = " to ".join(f"{bound:.3f}" for bound in p50["interval"]) if p50["interval"] else "none"
    gate = "broken" if told.violations else "not judged" if told.unjudged else "passed"
    said = ", ".join(told.said) or "–"
    flagged = told.planted["no_latency_verdict"].partition(":")[0]
    print(
        f"| {kind} | {p50['ratio']:.3f} | {interval} | {top1['new'] - top1['old']:+.4f} | {said} | {gate} ({told.code})"
        f" | {flagged} |",
        flush=True,
    )


def main() -> None:
    """Plants, benchmarks, prints a table and the counts; exit code 1 where something is not as it is to be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--slower", type=float, default=0.10)
    parser.add_argument("--lost", type=float, default=0.02)
    told = parser.parse_args()
    target = f"{RUNTIME}:cpu:{told.threads}"
    with tempfile.TemporaryDirectory() as folder:
        builder = Builder(find_run(told.run), Path(folder))
        first = builder.place("first")
        rounds = ("--rounds", str(told.rounds), "--seconds", str(0.4 * told.rounds))
        bench(first, target, *rounds)
        old = first.bench / "results.jsonl"
        base = first.artifacts / PLANTED

        trial = builder.place("trial", builder.with_layers(FIRST_LAYERS)).artifacts / PLANTED
        cost = (measure_slowdown(trial, base, told.threads) - 1) / FIRST_LAYERS
        layers = max(1, round(told.slower / cost))
        slower = builder.place("slower", builder.with_layers(layers))
        planted = measure_slowdown(slower.artifacts / PLANTED, base, told.threads)
        print(f"slower: {layers} layers more, {planted:.3f} times the latency when timed in turn")
        shift = find_shift(old, target, told.lost)
        worse = builder.place("less accurate", builder.with_bias(shift))
        print(f"less accurate: the first logit {shift:.3f} higher")
        rebuilt = builder.place("rebuilt")

        print("| float32.onnx is | ratio of p50 | 95% | top-1 | said | gate (exit code) | latency |")
        print("|---|---:|---|---:|---|---|---|")
        arguments = (*rounds, "--against", str(old), "--fail-on", SLOWER, "--fail-on", LESS_ACCURATE)
        found: dict[str, list[Told]] = {}
        for number in range(told.times):
            if number:
                bench(first, target, *rounds)  # anew: one that was measured on a noisy machine judges nothing
            for kind, run in (("rebuilt", rebuilt), ("slower", slower), ("less accurate", worse)):
                found.setdefault(kind, []).append(bench(run, target, *arguments))
                show(kind, found[kind][-1])
            with one_core_busy():
                found.setdefault("rebuilt, beside a load", []).append(bench(rebuilt, target, *arguments))
            show("rebuilt, beside a load", found["rebuilt, beside a load"][-1])
    raise SystemExit(0 if conclude(found) else 1)


def conclude(found: dict[str, list[Told]]) -> bool:
    """Prints the counts; whether all is as it is to be."""
    unchanged = [*found["rebuilt"], *found["rebuilt, beside a load"]]
    words = sum(len(item.said) for item in unchanged)
    broken = sum(bool(item.violations) for item in unchanged)
    print(
        f"rebuilt: {words} words said of {sum(len(item.rows) for item in unchanged)} rows; gate broken {broken} times"
    )
    held = words == 0 and broken == 0
    for kind, metric in (("slower", "p50_ms"), ("less accurate", "top1")):
        caught = sum(any(metric in line for line in item.violations) for item in found[kind])
        passed = sum(item.code == 0 for item in found[kind])
        count = len(found[kind])
        print(f"{kind}: caught {caught} of {count}, not judged {count - caught - passed}, missed {passed}")
        held = held and passed == 0
    return held


if __name__ == "__main__":
    main()
