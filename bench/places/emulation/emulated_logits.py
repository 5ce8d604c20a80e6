"""An artifact's answers on an emulated board."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from tledge.bench.places.emulation import guest
from tledge.bench.places.emulation.boards import Board
from tledge.bench.places.emulation.machine import TIMEOUT, EmulatedMachine
from tledge.bench.places.emulation.root import prepare_root
from tledge.core.artifact import Artifact, path_beside, read_artifact
from tledge.core.cores import usable_cores
from tledge.core.environment import Environment
from tledge.core.errors import MeasurementError, OptionError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.images import Pixels
from tledge.core.progress import Progress, Step
from tledge.core.worker import describe_end
from tledge.edge_runtime.runtime import RUNTIMES
from tledge.edge_runtime.target import Target
from tledge.edge_runtime.tensor import Logits

TARGETS = {"tflite": Target("litert", "cpu", 1), "onnx": Target("onnxruntime", "cpu", 1)}
"""The target that runs each format under emulation: one thread, since the images are shared out among processes."""


@dataclass(frozen=True)
class _Part:
    """A process that classifies some of the images.

    Attributes:
        process: it prints a line for each image that is done.
        errors: the file that holds what it printed on standard error.
        result: the ``.npy`` that it writes.
    """

    process: subprocess.Popen[bytes]
    errors: Path
    result: Path


@dataclass(frozen=True)
class EmulatedAnswers:
    """What an artifact answered on an emulated board.

    Attributes:
        logits: float32 (N, classes).
        provider: what ran the model there, as its runtime says.
        environment: the board and its software, as programs on it see them.
    """

    logits: Logits
    provider: str
    environment: Environment


def emulated_logits(artifact: Path, images: Pixels, board: str | Board, *, progress: Progress | None = None) -> Logits:
    """The logits of :func:`run_emulated`, float32 (N, classes)."""
    return run_emulated(artifact, images, board, progress=progress).logits


def run_emulated(
    artifact: Path, images: Pixels, board: str | Board, *, progress: Progress | None = None
) -> EmulatedAnswers:
    """Runs an artifact on an emulated board, through the classifier that ships, on every core of this machine.

    Args:
        artifact: a ``.tflite`` or ``.onnx`` file with its sidecar inside.
        images: uint8 (N, height, width, 3), RGB pixel values, of the model's input size.
        board: one of BOARDS, or its name; what it needs is downloaded on first use.
        progress: is told what happens.

    Returns:
        Its answers, in the order of the images.

    Raises:
        ArtifactError: the file is absent, cut off or without a sidecar.
        OptionError: a format that no emulated runtime takes, or images of another dtype or shape.
        MissingExtraError: the artifact's runtime is not installed here, so there is no version to emulate.
        UnknownNameError, TargetError: the board cannot be made ready: see :func:`prepare_root`.
        MeasurementError: the emulated program failed.
    """
    progress = progress or Progress()
    read = read_artifact(artifact)
    if read.format not in TARGETS:
        raise OptionError(f"'{read.name}' cannot be emulated: boards run .{' and .'.join(TARGETS)} files")
    _check_images(read, images)
    RUNTIMES.load(TARGETS[read.format].runtime).require_installed(f"running '{read.name}' on an emulated board")
    machine = prepare_root(board, progress)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "images.npy", images)
        _copy_unchanged(read, folder / read.name)
        with (
            progress.step(f"{read.name} on {machine.board.name}", len(images), "images") as step,
            _started(machine, read, len(images), folder) as parts,
        ):
            _follow(parts, f"'{read.name}' on the emulated {machine.board.name}", step)
        told = json.loads(parts[0].result.with_name(f"{parts[0].result.name}.json").read_text(encoding="utf-8"))
        return EmulatedAnswers(
            logits=np.concatenate([np.load(part.result) for part in parts]),
            provider=str(told["provider"]),
            environment=replace(Environment.from_dict(told["environment"]), memory=0),  # it sees this machine's
        )


def _check_images(artifact: Artifact, images: Pixels) -> None:
    expected = (*artifact.sidecar.input_size, 3)
    if images.dtype != np.uint8 or images.shape[1:] != expected or len(images) == 0:
        raise OptionError(
            f"'{artifact.name}' takes uint8 pixels of shape (N, {', '.join(map(str, expected))}), N at least 1;"
            f" received {images.dtype} {images.shape}"
        )


def _copy_unchanged(artifact: Artifact, copy: Path) -> None:
    """Copies the file that was read, so that an export meanwhile gives no two processes different models."""
    shutil.copyfile(artifact.path, copy)
    if path_beside(artifact.path).exists():
        shutil.copyfile(path_beside(artifact.path), path_beside(copy))
    if sha256_of_file(copy) != artifact.sha256:
        raise MeasurementError(f"'{artifact.path}' was changed while it was read; run this again when it is finished")


@contextmanager
def _started(machine: EmulatedMachine, artifact: Artifact, count: int, folder: Path) -> Iterator[list[_Part]]:
    """A process for each core, each with its share of the images; none outlives the block."""
    bounds = np.linspace(0, count, min(usable_cores(), count) + 1, dtype=int)
    parts: list[_Part] = []
    try:
        for first, last in pairwise(bounds):
            errors, result = folder / f"{first}.txt", folder / f"{first}.npy"
            arguments = (folder / artifact.name, TARGETS[artifact.format], folder / "images.npy", first, last, result)
            with errors.open("wb") as file:
                process = subprocess.Popen(
                    machine.command([guest.__file__, *map(str, arguments)]),
                    env=machine.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=file,
                )
            parts.append(_Part(process, errors, result))
        yield parts
    finally:
        for part in parts:
            part.process.kill()  # nothing where it has ended
            part.process.communicate()


def _follow(parts: Sequence[_Part], what: str, step: Step) -> None:
    """Counts images as they are done, until all processes have ended or one has failed."""
    with selectors.DefaultSelector() as selector:
        for part in parts:
            if part.process.stdout is not None:
                selector.register(part.process.stdout, selectors.EVENT_READ, part)
        while selector.get_map():
            ready = selector.select(TIMEOUT)
            if not ready:
                raise MeasurementError(f"{what} gave no answer for {TIMEOUT:.0f} s")
            for key, _ in ready:
                printed = os.read(key.fd, 4096)
                if printed:
                    step.advance(printed.count(b"\n"))
                else:
                    selector.unregister(key.fileobj)
                    _check_end(key.data, what)


def _check_end(part: _Part, what: str) -> None:
    code = part.process.wait()
    printed = part.errors.read_text(encoding="utf-8", errors="replace")
    sys.stderr.write(f"--- {what}\n{printed}")  # for the log
    if code != 0:
        raise MeasurementError(f"{what} {describe_end(code, printed)}")
