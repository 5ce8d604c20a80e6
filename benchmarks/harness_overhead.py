"""What ``Classifier.logits`` adds to the bare runtime: the interpreter's invoke, or the InferenceSession's run.

    python benchmarks/harness_overhead.py [--run runs/latest] [--artifact int8.tflite] [--threads 1] [--queries 2000]

One process a model file holds both, and times them query by query in turn on the same photo, now the one first and now
the other. The bare side is what an example of the runtime does: ``set_tensor``, ``invoke`` and ``get_tensor``, or
``run``, with the input in the model's own dtype and layout. A tiny model of 16 x 16 pixels comes last: what is added
there is all that there is to see. To be at most 1.05 times the bare runtime on the run's artifacts.
"""

from __future__ import annotations

import argparse
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

from tledge.core.artifact import write_artifact
from tledge.core.run_directory import find_run
from tledge.core.sidecar import Sidecar
from tledge.edge_runtime import Classifier

WARM_UP = 50
PHOTOS = 32
TARGET = 1.05
ARTIFACTS = ("float32.tflite", "int8.tflite", "float32.onnx", "int8.onnx")


def load_bare(path: Path, threads: int) -> Callable[[Any], Any]:
    """A model file as a function from its input to its output, with nothing around it."""
    if path.suffix == ".onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        name, wanted = session.get_inputs()[0].name, [session.get_outputs()[0].name]
        return lambda pixels: session.run(wanted, {name: pixels})[0]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    input_index, output_index = (
        interpreter.get_input_details()[0]["index"],
        interpreter.get_output_details()[0]["index"],
    )

    def run(pixels: Any) -> Any:
        interpreter.set_tensor(input_index, pixels)
        interpreter.invoke()
        return interpreter.get_tensor(output_index)

    return run


def measure(path: Path, threads: int, queries: int) -> None:
    """Prints the latencies of both in nanoseconds as JSON."""
    runtime = "onnxruntime" if path.suffix == ".onnx" else "litert"
    classifier = Classifier(path, target=f"{runtime}:cpu:{threads}")
    sides = (classifier.logits, load_bare(path, threads))
    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (PHOTOS, 1, *classifier.input_size, 3), np.uint8)
    np.testing.assert_array_equal(sides[0](photos[0]), sides[1](photos[0]))
    latencies: tuple[list[int], list[int]] = ([], [])
    clock = time.perf_counter_ns
    gc.collect()
    gc.disable()
    for number in range(WARM_UP + queries):
        photo = photos[number % PHOTOS]
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            run = sides[side]
            began = clock()
            run(photo)
            latencies[side].append(clock() - began)
    print(json.dumps([side[WARM_UP:] for side in latencies]))


def export_tiny(folder: Path) -> list[Path]:
    """A model of two convolutions on 16 x 16 pixels, in both formats."""
    import keras

    from tledge.export.format import FORMATS
    from tledge.export.recipes import RECIPES

    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(16, 3, activation="relu")(x))
    model = keras.Model(image, keras.layers.Dense(2, name="logits")(x))
    sidecar = Sidecar(
        class_names=("cat", "dog"),
        input_size=(16, 16),
        resize="stretch",
        recipe="float32",
        source_run="tiny",
        source_sha256="0" * 64,
        versions={},
    )
    paths = [folder / f"tiny.{name}" for name in ("tflite", "onnx")]
    for path in paths:
        write_artifact(path, FORMATS.load(path.suffix[1:]).convert(model, RECIPES[0], None), sidecar)
    return paths


def main() -> None:
    """Measures each model file in a process of its own and prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run")
    parser.add_argument("--artifact", action="append", help="of the run; float32 and int8 of both formats without it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.measure:
        measure(told.measure, told.threads, told.queries)
        return
    run = find_run(told.run)
    with tempfile.TemporaryDirectory() as folder:
        paths = [run.artifacts / name for name in told.artifact or ARTIFACTS]
        print(f"{told.queries} queries of each side, {told.threads} thread(s)")
        print("| artifact | logits p50 ms | bare p50 ms | ratio | added us | at most 1.05 |")
        print("|---|---:|---:|---:|---:|---|")
        for path in (*paths, *export_tiny(Path(folder))):
            command = [sys.executable, __file__, "--measure", str(path), "--threads", str(told.threads)]
            command += ["--queries", str(told.queries)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            ours, bare = (np.array(side) / 1e6 for side in json.loads(done.stdout.splitlines()[-1]))
            ratio = float(np.median(ours) / np.median(bare))
            added = 1000 * float(np.median(ours - bare))
            held = "" if path.name.startswith("tiny") else "yes" if ratio <= TARGET else "no"
            medians = f"{np.median(ours):.4f} | {np.median(bare):.4f}"
            print(f"| {path.name} | {medians} | {ratio:.3f} | {added:.1f} | {held} |", flush=True)


if __name__ == "__main__":
    main()
