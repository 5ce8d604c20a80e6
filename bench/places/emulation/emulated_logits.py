"""An artifact's logits on an emulated board."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from tledge.bench.places.emulation import board_worker
from tledge.bench.places.emulation.boards import Board
from tledge.bench.places.emulation.machine import TIMEOUT
from tledge.bench.places.emulation.root import prepare_root
from tledge.core.artifact import Artifact, files_of, read_artifact
from tledge.core.cores import usable_cores
from tledge.core.environment import Environment
from tledge.core.errors import MeasurementError, OptionError
from tledge.core.images import Pixels
from tledge.core.model_files import sha256_of_model
from tledge.core.progress import Progress, Step
from tledge.core.temporary_files import temporary_folder
from tledge.core.worker import Worker
from tledge.edge_runtime.runtime import RUNTIMES
from tledge.edge_runtime.target import Target
from tledge.edge_runtime.tensor import Logits

TARGETS = {"tflite": Target("litert", "cpu", 1), "onnx": Target("onnxruntime", "cpu", 1)}
"""The target that runs each format under emulation: one thread, since the images are divided among processes."""


@dataclass(frozen=True)
class EmulatedRun:
    """The results of an artifact on an emulated board.

    Attributes:
        logits: float32 (N, classes).
        provider: what ran the model there, as its runtime reports it.
        environment: the board and its software, as programs on it see them.
    """

    logits: Logits
    provider: str
    environment: Environment


def emulated_logits(artifact: Path, images: Pixels, board: str | Board, *, progress: Progress | None = None) -> Logits:
    """Returns the logits of :func:`run_emulated`, float32 (N, classes)."""
    return run_emulated(artifact, images, board, progress=progress).logits


def run_emulated(
    artifact: Path, images: Pixels, board: str | Board, *, progress: Progress | None = None
) -> EmulatedRun:
    """Runs an artifact on an emulated board, with the same code as a real board, on every core of this machine.

    Args:
        artifact: a ``.tflite`` or ``.onnx`` file with its sidecar.
        images: uint8 (N, height, width, 3), RGB pixel values, of the model's input size.
        board: one of BOARDS, or its name; what it needs is downloaded on first use.
        progress: shows the images.

    Returns:
        The logits, in the order of the images, and what computed them.

    Raises:
        ArtifactError: the file is absent, cut off or without a sidecar.
        OptionError: no emulated runtime takes the format, or the images have another dtype or shape.
        MissingExtraError: the artifact's runtime is not installed here, so there is no version to emulate.
        UnknownNameError, TargetError: the board cannot be set up; see :func:`prepare_root`.
        MeasurementError: the emulated program failed.
    """
    progress = progress or Progress()
    read = read_artifact(artifact)
    if read.format not in TARGETS:
        raise OptionError(f"'{read.name}' cannot be emulated: boards run .{' and .'.join(TARGETS)} files")
    _check_images(read, images)
    target = TARGETS[read.format]
    RUNTIMES.load(target.runtime).require_installed(f"running '{read.name}' on an emulated board")
    machine = prepare_root(board, progress)
    name = f"'{read.name}' on the emulated {machine.board.name}"
    with temporary_folder() as folder:
        np.save(folder / "images.npy", images)
        _copy_unchanged(read, folder / read.name)
        command = machine.command([board_worker.__file__, folder / read.name, str(target), folder / "images.npy"])
        with (
            progress.step(f"{read.name} on {machine.board.name}", len(images), "images") as step,
            ThreadPoolExecutor() as pool,  # left last: its threads end once the processes have ended
            ExitStack() as stack,
        ):
            workers = [
                stack.enter_context(Worker(command, name=name, timeout=TIMEOUT, environment=machine.environment))
                for _ in range(min(usable_cores(), len(images)))
            ]
            rows = _classify(workers, len(images), pool, step)
            described = _ask(workers[0], None)
    environment = Environment.from_dict(described["environment"], name)
    return EmulatedRun(
        logits=np.array(rows, np.float32),
        provider=str(described["provider"]),
        environment=replace(environment, memory=0),  # the emulated system sees this machine's memory
    )


def _check_images(artifact: Artifact, images: Pixels) -> None:
    expected = (*artifact.sidecar.input_size, 3)
    if images.dtype != np.uint8 or images.shape[1:] != expected or len(images) == 0:
        raise OptionError(
            f"'{artifact.name}' takes uint8 pixels of shape (N, {', '.join(map(str, expected))}), N at least 1;"
            f" received {images.dtype} {images.shape}"
        )


def _copy_unchanged(artifact: Artifact, copy: Path) -> None:
    """Copies the file that was read, so that all processes run the same model even if it is exported again."""
    for name, path in files_of(artifact.path).items():
        there = copy.parent / name
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, there)
    if sha256_of_model(copy) != artifact.sha256:
        raise MeasurementError(f"'{artifact.path}' changed while it was read; try again once it is complete")


def _classify(workers: Sequence[Worker], count: int, pool: ThreadPoolExecutor, step: Step) -> list[list[float]]:
    """Returns the logits of each image; whichever worker is free takes the next one."""
    free: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def classify(index: int) -> Any:
        worker = free.get()
        try:
            return _ask(worker, index)
        finally:
            free.put(worker)

    rows = []
    for row in pool.map(classify, range(count)):
        rows.append(row)
        step.advance(1)
    return rows


def _ask(worker: Worker, index: int | None) -> Any:
    try:
        return worker.ask(index)
    except MeasurementError as error:
        if str(error).startswith(worker.name):
            raise
        raise MeasurementError(f"{worker.name} ended with an error: {error}") from error
