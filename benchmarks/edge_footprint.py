"""What the base install weighs on a device: disk, start, memory, in an empty virtual environment.

    python benchmarks/edge_footprint.py int8.tflite

The virtual environment is made in a temporary folder: first the dependencies of pyproject.toml alone, then tledge
itself. Then, in fresh processes that take turns, with a photo of 640 x 480 pixels:

* disk: what site-packages takes as ``du -sm`` counts it, in MiB of allocated blocks, pip and compiled modules included;
  the limit is held against that. Beside it, in MB of 1,000,000 bytes, the blocks and the files' lengths. setuptools,
  which ``venv`` adds before Python 3.12 and nothing here needs, is removed first (9 MB);
* start: seconds from the start of a process until ``import numpy, PIL.Image`` is done, until ``import
  tledge.edge_runtime`` is done as well, until the first answer of ``Classifier`` to the photo, and until the first
  answer of the bare interpreter to pixels of one colour;
* memory: the highest that such a process had (VmHWM);
* 20,000 predictions of photos in one process: memory (VmRSS) after the first 500 and at the end.

The limits are those for MobileNetV2 int8 at 160 px; above one, the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
MB, MIB = 1e6, 2**20
FIRST = 500

MEMORY = """
def memory(field):
    for line in open("/proc/self/status"):
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
"""
REPORT = """
import time
now = time.monotonic_ns()
print("\\n" + __import__("json").dumps({"now": now, "memory": memory("VmHWM")}))
"""
IMPORTS = "import numpy, PIL.Image\n"
BARE = """
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=artifact, num_threads=len(__import__("os").sched_getaffinity(0)))
interpreter.allocate_tensors()
taken = interpreter.get_input_details()[0]
interpreter.set_tensor(taken["index"], numpy.full(taken["shape"], 128, taken["dtype"]))
interpreter.invoke()
interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
"""
ANSWER = """
from tledge.edge_runtime import Classifier
Classifier(artifact).classify(photo)
"""
PROCESSES = {
    "import numpy, PIL.Image": IMPORTS,
    "import tledge.edge_runtime": IMPORTS + "import tledge.edge_runtime\n",
    "the bare interpreter's first answer": IMPORTS + BARE,
    "Classifier's first answer": IMPORTS + ANSWER,
}
LONG_RUN = """
from tledge.edge_runtime import Classifier
import json
with Classifier(artifact) as classifier:
    for number in range(predictions):
        classifier.classify(photos[number % len(photos)])
        if number + 1 == first:
            early = memory("VmRSS")
print("\\n" + json.dumps({"early": early, "late": memory("VmRSS"), "highest": memory("VmHWM")}))
"""


@dataclass(frozen=True)
class Size:
    """Of a folder, in bytes.

    Attributes:
        blocks: allocated on disk.
        lengths: of its files.
    """

    blocks: int
    lengths: int

    def __str__(self) -> str:
        return f"({self.blocks / MB:.1f} MB of blocks, {self.lengths / MB:.1f} MB of files)"


def make_environment(folder: Path) -> tuple[Path, Size, Size]:
    """An environment with tledge; its Python, and the size of site-packages without and with tledge."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    (packages,) = (folder / "lib").glob("python*/site-packages")
    subprocess.run([*install[:3], "uninstall", "--quiet", "--yes", "setuptools"], check=True, stderr=subprocess.DEVNULL)
    subprocess.run([*install, *dependencies], check=True)
    without = on_disk(packages)
    subprocess.run([*install, "--no-deps", str(ROOT)], check=True)
    return python, without, on_disk(packages)


def on_disk(folder: Path) -> Size:
    """What a folder takes on disk."""
    found = [path.lstat() for path in (folder, *folder.rglob("*"))]
    return Size(sum(item.st_blocks * 512 for item in found), sum(item.st_size for item in found))


def run(python: Path, code: str, **given: object) -> tuple[float, dict[str, float]]:
    """Runs code in a fresh process, in which ``given`` are variables; when it was started, and what it reported."""
    preamble = "".join(f"{name} = {value!r}\n" for name, value in given.items())
    began = time.monotonic_ns()
    done = subprocess.run([python, "-I", "-c", preamble + MEMORY + code], check=True, capture_output=True, text=True)
    reported: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return began, reported


def write_photos(folder: Path) -> list[str]:
    """JPEGs of different content and sizes."""
    rng, names = np.random.default_rng(0), []
    for number, (width, height) in enumerate([(640, 480), (480, 640), (320, 240), (1280, 960), (800, 800)]):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
        names.append(str(folder / f"{number}.jpg"))
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(names[-1], quality=90)
    return names


def verdict(what: str, value: float, limit: float, unit: str) -> bool:
    """Prints a figure with its limit; whether it is within."""
    within = value <= limit
    print(f"{what:<64} {value:8.3f} {unit}   {'within' if within else 'ABOVE'} {limit:g}")
    return within


def main() -> int:
    """Measures all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--predictions", type=int, default=20_000)
    parser.add_argument("--python", type=Path, help="measure this environment instead of a new one; no disk figures")
    told = parser.parse_args()
    artifact = str(told.artifact.resolve())
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = write_photos(folder)
        python = told.python
        if python is None:
            python, without, with_tledge = make_environment(folder / "environment")
            print(f"{'site-packages, the dependencies alone':<64} {without.blocks / MIB:8.3f} MiB  {without}")
            good &= verdict("site-packages, with tledge", with_tledge.blocks / MIB, 200, "MiB")
            print(f"{'':<64} {'':>8}      {with_tledge}")
        seconds: dict[str, list[float]] = {process: [] for process in PROCESSES}
        memory: dict[str, float] = dict.fromkeys(PROCESSES, 0.0)
        for number in range(told.rounds + 1):
            for process, code in PROCESSES.items():
                began, reported = run(python, code + REPORT, artifact=artifact, photo=photos[0])
                if number:  # the first round warms the disk cache
                    seconds[process].append((reported["now"] - began) / 1e9)
                memory[process] = max(memory[process], reported["memory"])
        imports, *others = PROCESSES
        print(f"{'until ' + imports:<64} {statistics.median(seconds[imports]):8.3f} s")
        limits = dict(zip(others, (0.05, None, 0.15), strict=True))
        for process, limit in limits.items():
            above = statistics.median(a - b for a, b in zip(seconds[process], seconds[imports], strict=True))
            if limit is None:
                print(f"{'above it, until ' + process:<64} {above:8.3f} s")
            else:
                good &= verdict(f"above it, until {process}", above, limit, "s")
        for process in PROCESSES:
            if process == others[-1]:
                good &= verdict(f"highest memory: {process}", memory[process] / MB, 70, "MB")
            else:
                print(f"{'highest memory: ' + process:<64} {memory[process] / MB:8.3f} MB")
        if told.predictions >= FIRST:
            long_run = IMPORTS + LONG_RUN
            _, kept = run(python, long_run, artifact=artifact, photos=photos, predictions=told.predictions, first=FIRST)
            print(f"{f'memory after {FIRST} predictions':<64} {kept['early'] / MB:8.3f} MB")
            grown = (kept["late"] - kept["early"]) / MB
            good &= verdict(f"grown by, after {told.predictions:,} predictions", grown, 5, "MB")
            print(f"{'highest memory of that process':<64} {kept['highest'] / MB:8.3f} MB")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
