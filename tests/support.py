"""Running the command line as a user does, and real images to run it on."""

from __future__ import annotations

import csv
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tledge.core.images import Pixels
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.core.sidecar import Sidecar

ROOT = Path(__file__).parents[1]
HEEDING = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    " signal.signal(signal.SIGHUP, signal.SIG_DFL); signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
)
"""Code that heeds signals which whoever runs the tests in the background, or by nohup, ignores."""

ROOMS = ("core", "edge_runtime", "attacks", "train", "export", "bench", "visualize", "cli")


@dataclass(frozen=True)
class Demo:
    """What the demo printed and where it left its run."""

    finished: Finished
    folder: Path

    @property
    def run(self) -> RunDirectory:
        return RunDirectory(self.folder / "runs" / "latest")


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str


def tledge(*arguments: object, cwd: Path, env: dict[str, str] | None = None, timeout: float = 900) -> Finished:
    """Runs the command line as a user does."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from tledge.cli.main import main; main()", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def invoke(*arguments: object, cwd: Path) -> Finished:
    """Runs the command line in this process, for commands that end before they load a heavy library.

    Standard output and error are caught by their file descriptors, which commands copy and redirect.
    """
    from tledge.cli.app import app

    texts, code = [], 0
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for _ in range(2)]
        for descriptor, file in zip((1, 2), files, strict=True):
            saved = os.dup(descriptor)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, descriptor)
            os.dup2(file.fileno(), descriptor)
        out, err = (stack.enter_context(open(number, "w", closefd=False)) for number in (1, 2))
        with chdir(cwd), redirect_stdout(out), redirect_stderr(err):
            try:
                app([str(argument) for argument in arguments], prog_name="tledge")
            except SystemExit as end:
                code = int(end.code or 0)
        for stream, file in zip((out, err), files, strict=True):
            stream.flush()
            file.seek(0)
            texts.append(file.read())
    return Finished(code, *texts)


def check_one_line_error(done: Finished, *parts: str) -> None:
    """A user's error: exit code 1, or 2 for wrong usage, and one line on standard error that says all of ``parts``."""
    assert done.code in (1, 2), done
    lines = [line for line in done.err.splitlines() if line.startswith("tledge: ")]
    assert len(lines) == 1, done
    assert done.err.splitlines()[-1] == lines[0], done
    assert "Traceback" not in done.out + done.err
    assert "internal error" not in done.err
    for part in parts:
        assert part in lines[0], done


def stripes(vertical: bool, seed: int, size: tuple[int, int] = (48, 64)) -> Pixels:
    """A photo-like image of noisy stripes, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    height, width = size
    along = np.arange(width)[np.newaxis, :] if vertical else np.arange(height)[:, np.newaxis]
    waves = 127 + 90 * np.sin(2 * np.pi * along / rng.uniform(6, 12) + rng.uniform(0, 6))
    noisy = np.broadcast_to(waves[..., np.newaxis], (height, width, 3)) + rng.normal(0, 20, (height, width, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def blobs(seed: int) -> Image.Image:
    """Something like a photo: blobs of colour of all sizes, with grain."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).resize(
                (200, 150), Image.Resampling.BICUBIC
            ),
            float,
        )
        for side in (3, 6, 12, 40)
    ]
    mixed = np.average(layers, axis=0, weights=[4, 3, 2, 1]) * 1.4 - 50 + rng.normal(0, 5, (150, 200, 3))
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def write_stripes(root: Path, per_class: int, suffix: str = ".jpg", first: int = 0) -> Path:
    """A folder of two classes, ``across`` and ``upright``; other photos for each ``first``."""
    for name, vertical in (("across", False), ("upright", True)):
        (root / name).mkdir(parents=True)
        for index in range(per_class):
            Image.fromarray(stripes(vertical, seed=first + index + 1000 * vertical)).save(
                root / name / f"{index:03d}{suffix}"
            )
    return root


def random_images(count: int, size: int, seed: int = 0) -> Pixels:
    """uint8 (count, size, size, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


class LazyModule:
    """A library that is imported when it is first used, so that collecting tests does not load it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        looking = sys._getframe(1).f_globals.get("__name__", "")
        private = attribute.startswith("_") and attribute != "__version__"
        if private or looking.partition(".")[0] in ("_pytest", "inspect"):
            # pytest looks for marks of its own on whatever it collects
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)


def lazy_module(name: str) -> Any:
    """Returns a library as a ``LazyModule``; skips the calling test file if it is not installed."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed", allow_module_level=True)
    return LazyModule(name)


def modules_after(code: str) -> Sequence[str]:
    """The modules that a fresh interpreter has loaded after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


TINY_SIDECAR = Sidecar(
    class_names=("cat", "dog", "emu"),
    input_size=(16, 16),
    resize="stretch",
    recipe="float32",
    source_run="tiny",
    source_sha256="0" * 64,
    versions={"tledge": "0"},
)


def write_random_weights(path: Path, backbone: str, alpha: float = 1.0) -> Path:
    """A file of a backbone's weights, random ones, always the same, with the batch norms' statistics that suit them."""
    import keras

    from tledge.train.backbone import BACKBONES

    keras.utils.set_random_seed(0)
    network = BACKBONES.load(backbone).build(32, None, alpha=alpha)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    images = [stripes(seed % 2 == 0, seed, size=(32, 32)) for seed in range(32)]
    network(np.stack(images).astype(np.float32) / 127.5 - 1, training=True)
    network.save_weights(path)
    return path


def rows_of(history: Path) -> list[dict[str, str]]:
    """``history.csv`` without what a clock says."""
    with history.open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


class Notes(Progress):
    """Collects the texts that are noted."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, label: str, text: str) -> None:
        self.notes.append(text)
