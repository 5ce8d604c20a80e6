"""What an adopted model costs more than the bare runtime: the conversion of pixels, and of outputs to logits.

    python benchmarks/adopted_overhead.py [--rounds 3] [--turns 20] [--size 96 --size 224]

Two models of depthwise-separable convolutions, as in MobileNet, with random weights: float32, which takes -1..1, and
int8. Each is adopted, and then timed against the bare loop, which sets a prepared tensor, invokes the interpreter and
gets the output, with no conversion at all; our side is ``Classifier.logits`` of uint8 photos. Each side runs in a fresh
process, and they take turns of 0.05 s, so that other load slows both. The ratio is the median over the turns of the
ratios of their p50s, and is to be at most 1.05.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TARGET = 1.05
LEAST = 5  # queries of a turn
PHOTOS = 16
LABELS = tuple(f"c{index}" for index in range(100))


def make_models(folder: Path, size: int, width: float) -> list[Path]:
    """Writes a float32 and an int8 TFLite file, and adopts them."""
    import keras
    import tensorflow as tf

    from tledge.edge_runtime.adoption import adopt_model
    from tledge.edge_runtime.description import Description
    from tledge.edge_runtime.inspection import inspect

    network = keras.applications.MobileNet((size, size, 3), alpha=width, weights=None, classes=len(LABELS))
    rng = np.random.default_rng(0)
    for layer in network.layers:  # He's scale: with Keras' own, activations shrink to denormals, which are slow
        kernels = layer.get_weights()
        if kernels and kernels[0].ndim == 4:
            shape = kernels[0].shape
            inputs = np.prod(shape[:2]) * (1 if "dw" in layer.name else shape[2])
            kernels[0] = rng.normal(0, np.sqrt(2 / inputs), shape).astype(np.float32)
            layer.set_weights(kernels)
    paths = []
    for name in ("float32", "int8"):
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        if name == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: (
                [rng.uniform(-1, 1, (1, size, size, 3)).astype(np.float32)] for _ in range(4)
            )
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
        path = folder / f"{name}_{size}.tflite"
        path.write_bytes(converter.convert())
        known = Description(labels=LABELS, input_range=(-1.0, 1.0) if name == "float32" else None)
        adopt_model(inspect(path), known)
        paths.append(path)
    return paths


def load(path: Path, threads: int, *, bare: bool) -> tuple[Callable[[Any], Any], list[Any]]:
    """Returns a model as a function, and its queries: photos, or prepared tensors for the bare interpreter."""
    rng = np.random.default_rng(0)
    if not bare:
        from tledge.edge_runtime import Classifier

        classifier = Classifier(path, target=f"litert:cpu:{threads}")
        return classifier.logits, list(rng.integers(0, 256, (PHOTOS, 1, *classifier.input_size, 3), np.uint8))
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    image, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(tensor: Any) -> Any:
        interpreter.set_tensor(image["index"], tensor)
        interpreter.invoke()
        return interpreter.get_tensor(output["index"])

    photos = rng.integers(0, 256, (PHOTOS, *image["shape"]), np.uint8)
    if image["dtype"] == np.float32:
        return run, list((photos / np.float32(127.5) - 1).astype(np.float32))
    return run, list((photos.astype(np.int16) - 128).astype(image["dtype"]))


def serve(path: Path, threads: int, *, bare: bool) -> None:
    """Runs a turn of queries for each line on standard input, and prints the p50 of its queries in ms."""
    run, queries = load(path, threads, bare=bare)
    for query in queries:
        run(query)
    clock = time.perf_counter_ns
    gc.collect()
    gc.disable()
    for line in sys.stdin:
        latencies: list[int] = []
        ends = clock() + float(line) * 1e9
        while clock() < ends or len(latencies) < LEAST:
            query = queries[len(latencies) % PHOTOS]
            began = clock()
            run(query)
            latencies.append(clock() - began)
        print(json.dumps(float(np.median(latencies)) / 1e6), flush=True)


def measure_turns(path: Path, told: argparse.Namespace) -> list[tuple[float, float]]:
    """Returns the p50 of each turn, ms: (bare, adopted), each of a process that was started for this."""
    command = [sys.executable, __file__, "--serve", str(path), "--threads", str(told.threads)]
    with contextlib.ExitStack() as stack:
        sides = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, *extra],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
            for extra in (["--bare"], [])
        ]
        turns = []
        for number in range(told.turns + 1):
            found = [0.0, 0.0]
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                process = sides[side]
                if process.stdin is None or process.stdout is None:
                    raise RuntimeError("no pipes")
                process.stdin.write(f"{told.seconds}\n")
                process.stdin.flush()
                found[side] = json.loads(process.stdout.readline())
            turns.append((found[0], found[1]))
        for process in sides:
            if process.stdin is not None:
                process.stdin.close()
    return turns[1:]  # the first is a warm-up


def main() -> None:
    """Measures each model in processes of its own, and prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, action="append", help="96 and 224 without it")
    parser.add_argument("--width", type=float, default=0.5, help="MobileNet's width multiplier")
    parser.add_argument("--rounds", type=int, default=3, help="each starts a process for either side")
    parser.add_argument("--turns", type=int, default=20, help="of a round")
    parser.add_argument("--seconds", type=float, default=0.05, help="of a turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keeps the models there, and takes those that are there")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.serve:
        serve(told.serve, told.threads, bare=told.bare)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = told.folder or Path(temporary)
        with contextlib.redirect_stdout(sys.stderr):  # the converter describes every model
            paths = sorted(folder.glob("*.tflite")) or [
                path for size in told.size or (96, 224) for path in make_models(folder, size, told.width)
            ]
        print("| model | bare p50 ms | adopted p50 ms | ratio | at most 1.05 |")
        print("|---|---:|---:|---:|---|")
        for path in paths:
            turns = np.array([turn for _ in range(told.rounds) for turn in measure_turns(path, told)])
            ratio = float(np.median(turns[:, 1] / turns[:, 0]))
            bare_ms, ours_ms = np.median(turns, axis=0)
            held = "yes" if ratio <= TARGET else "no"
            print(f"| {path.stem} | {bare_ms:.3f} | {ours_ms:.3f} | {ratio:.3f} | {held} |", flush=True)


if __name__ == "__main__":
    main()
