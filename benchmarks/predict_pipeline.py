"""Photos a second of ``tledge predict`` over a folder, against what its parts take, side by side in one run.

    python benchmarks/predict_pipeline.py int8.tflite photos

Each of these is a fresh process over all photos, in turn, round by round:

* ``tledge predict ARTIFACT FOLDER --json``, from the start of the process to its end: the interpreter's start, all
  imports, the load of the model and the printing are counted;
* the parts: for the same photos, one after the other, the seconds of decoding and resizing
  (``core.images.load_pixels``), and those of the bare interpreter (set_tensor, invoke, get_tensor;
  as many threads); nothing else is counted, so that no program that does one after the other can be faster;
* a plain loop in the manner of label_image.py, LiteRT's own example (tensorflow/lite/examples/python): Pillow's
  ``open(path).resize((width, height))``, expand_dims, set_tensor, invoke, get_tensor, the best classes printed. The
  whole process is counted here, too. It is run with the interpreter's own number of threads, as the example is, and
  with as many as tledge takes. Beside the example, it turns grey photos to RGB, for which it would stop.

Broken photos are left out of the folder beforehand. Prints medians, and ratios within each round.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tledge.core import images
from tledge.core.artifact import read_artifact
from tledge.core.cores import usable_cores
from tledge.core.errors import ImageError
from tledge.core.photo_listing import list_tree


def interpreter_of(artifact: Path, threads: int | None) -> tuple[Any, Any, Any]:
    """A bare interpreter, and the details of its input and output."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(artifact), num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter, interpreter.get_input_details()[0], interpreter.get_output_details()[0]


def time_parts(artifact: Path, photos: list[Path], threads: int) -> dict[str, float]:
    """Seconds of decoding and of inference, over all photos."""
    sidecar = read_artifact(artifact).sidecar
    interpreter, taken, given = interpreter_of(artifact, threads)
    interpreter.invoke()
    decoding = inference = 0.0
    for path in photos:
        began = time.perf_counter()
        pixels = images.load_pixels(path, sidecar.input_size, sidecar.resize)
        decoded = time.perf_counter()
        interpreter.set_tensor(taken["index"], pixels[np.newaxis])
        interpreter.invoke()
        interpreter.get_tensor(given["index"])
        decoding += decoded - began
        inference += time.perf_counter() - decoded
    return {"decoding": decoding, "inference": inference}


def run_example(artifact: Path, photos: list[Path], threads: int | None) -> dict[str, float]:
    """The example's loop."""
    interpreter, taken, given = interpreter_of(artifact, threads)
    _, height, width, _ = taken["shape"]
    for path in photos:
        image = Image.open(path).convert("RGB").resize((width, height))
        data = np.expand_dims(np.asarray(image), axis=0)
        interpreter.set_tensor(taken["index"], data)
        interpreter.invoke()
        results = np.squeeze(interpreter.get_tensor(given["index"]))
        best = results.argsort()[-5:][::-1]
        print(path, {int(index): float(results[index]) for index in best}, file=sys.stderr)
    return {}


def readable(folder: Path, size: tuple[int, int], rule: str) -> list[Path]:
    """The photos below a folder that can be read."""
    good = []
    for path in list_tree(folder).photos:
        try:
            images.load_pixels(path, size, rule)
        except ImageError:
            continue
        good.append(path)
    return good


def seconds(command: list[str], expected: int = 0) -> tuple[float, str]:
    """Wall time of a process, and what it printed; a line per photo is expected."""
    with tempfile.TemporaryFile("w+") as printed:
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=printed, stderr=subprocess.DEVNULL)
        taken = time.perf_counter() - began
        printed.seek(0)
        content = printed.read()
    if expected and content.count("\n") < expected:
        raise SystemExit(f"expected {expected} lines, received {content.count(chr(10))}: {content[-500:]}")
    return taken, content


def link_photos(photos: list[Path], folder: Path) -> None:
    """A flat folder of links to photos, whatever their names."""
    for number, path in enumerate(photos):
        (folder / f"{number:06d}{path.suffix}").symlink_to(path.resolve())


def compare(artifact: Path, folder: Path, count: int, rounds: int) -> None:
    """Times each process over the photos of a folder, round by round."""
    command = [sys.executable, "-c", "from tledge.cli.main import main; main()", "predict", str(artifact)]
    itself = [sys.executable, __file__, str(artifact), str(folder), "--part"]
    runs: dict[str, Callable[[], float]] = {
        "tledge predict": lambda: seconds([*command, str(folder), "--json"], count)[0],
        "the parts": lambda: sum(json.loads(seconds([*itself, "parts"])[1]).values()),
        "the example's loop": lambda: seconds([*itself, "example"])[0],
        "the example's loop, as many threads": lambda: seconds([*itself, "example-threads"])[0],
    }
    one = next(iter(sorted(folder.iterdir())))
    taken: dict[str, list[float]] = {name: [] for name in [*runs, "predict, one photo"]}
    for number in range(rounds + 1):
        for name in list(runs) if number % 2 else list(reversed(runs)):
            if number == 0:  # warms the disk cache
                runs[name]()
            else:
                taken[name].append(runs[name]())
        if number:
            taken["predict, one photo"].append(seconds([*command, str(one), "--json"], 1)[0])
    print(f"{count:,} photos, {usable_cores()} cores, {rounds} rounds")
    for name, values in taken.items():
        photos = 1 if name == "predict, one photo" else count
        line = f"{name:<36} {statistics.median(values):7.2f} s {photos / statistics.median(values):8.1f} photos/s"
        if name in list(runs)[1:]:
            ratios = [other / ours for ours, other in zip(taken["tledge predict"], values, strict=True)]
            line += f"   predict: {statistics.median(ratios):.2f} of its rate ({min(ratios):.2f} to {max(ratios):.2f})"
        print(line)


def main() -> None:
    """Compares all, or is one of the processes that are compared."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=10**9, help="photos at most")
    parser.add_argument("--part", choices=["parts", "example", "example-threads"], help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.part is not None:
        photos, threads = sorted(told.folder.iterdir()), usable_cores()
        if told.part == "parts":
            print(json.dumps(time_parts(told.artifact, photos, threads)))
        else:
            run_example(told.artifact, photos, None if told.part == "example" else threads)
        return
    sidecar = read_artifact(told.artifact).sidecar
    photos = readable(told.folder, sidecar.input_size, sidecar.resize)[: told.count]
    if not photos:
        raise SystemExit(f"no readable photo below '{told.folder}'")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with tempfile.TemporaryDirectory() as folder:
        link_photos(photos, Path(folder))
        compare(told.artifact, Path(folder), len(photos), told.rounds)


if __name__ == "__main__":
    main()
