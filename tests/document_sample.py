"""The blocks of the documents, and the folders of photos that their commands run in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faint_sample import faint_stripes, train_network, write_run
from PIL import Image
from running_commands import MAIN
from support import ROOT, stripes

from tledge.core.images import Pixels
from tledge.core.run_directory import RunDirectory

PAGES = [
    ROOT / "README.md",
    ROOT / "docs" / "index.md",
    *(page for room in ("tutorial", "how-to", "explanation") for page in sorted((ROOT / "docs" / room).glob("*.md"))),
]
REASON = "# needs "
INSTALLS = ("pip install ", "python3 -m venv ")
"""How commands start that tests/test_docs.py resolves instead."""

READERS = ("tledge doctor", "tledge predict ", "cat ")
"""How commands start that change nothing in their folder."""

SMALL = tuple(
    ROOT / "docs" / "how-to" / f"{name}.md"
    for name in ("attacks", "benchmark", "compare", "corruptions", "export", "gate", "visualize")
)
"""Pages that start from a finished run of a small network; the command that would train it is that of README."""

TRAINED = "tledge train --data photos --image-size 160"
SMALL_PHOTOS = 36
"""A third of them are test photos; a map of the photos needs 10."""

MEASURED_ONCE = "from tledge.bench.results.round_conditions import Conditions; Conditions.quiet = True; "
"""Code that keeps a benchmark from measuring noisy rounds twice: other tests run beside a page, so nearly all are."""

TINTS = {"cat": (1.0, 0.5, 0.1), "dog": (0.1, 0.4, 1.0)}
PER_CLASS = 12
SMALL_RUN = "a finished run of a small network"
WEIGHTS = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_160_no_top.h5"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and text."""

    language: str
    text: str

    @property
    def reason(self) -> str | None:
        """Why it cannot run here, or None."""
        first = self.text.splitlines()[0]
        return first.removeprefix("# ") if first.startswith(REASON) else None

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, without comments, or the whole text of a Python block."""
        if self.language == "python":
            return [self.text]
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]


def blocks_of(page: Path) -> list[Block]:
    """The shell and Python blocks of a page, in order."""
    found = re.findall(r"^```(sh|python)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    return [Block(*match) for match in found]


class Sandbox:
    """A folder in which pages run, each from the start.

    A command that another page has already run, after the same commands, is not run again: the folder as that
    command left it is put in place.
    """

    def __init__(self, root: Path) -> None:
        self._folder, self._kept, self._programs = root / "work", root / "kept", root / "programs"
        self._keras = root / "keras"
        self._now: tuple[str, ...] | None = None
        self._states: dict[tuple[str, ...], Path] = {}
        for folder in (self._kept, self._programs):
            folder.mkdir()
        write_imagenet_weights(self._keras / "models")
        launcher = self._programs / "tledge"
        launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -P -c "{MEASURED_ONCE}{MAIN}" "$@"\n')
        launcher.chmod(0o755)
        for state, write in (((SMALL_RUN,), _write_small_run), ((), _write_photos)):
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir()
            write(self._folder)
            self._keep(state)
        self._now = ()

    def run(self, page: Path, shared: set[tuple[str, ...]]) -> None:
        """Runs a page's commands, in order, and keeps the folder after each beginning that pages share."""
        history, commands = history_of(page)
        for command in commands:
            after = history if command.startswith(READERS) else (*history, command)
            if after == history or after not in self._states:
                self._restore(history)
                self._now = None  # a command that fails leaves a folder that no other page may use
                self._run(command, page)
                self._now = after
                if after in shared and after not in self._states:
                    self._keep(after)
            history = after

    def _run(self, command: str, page: Path) -> None:
        python = "\n" in command
        done = subprocess.run(
            [sys.executable, "-"] if python else ["bash", "-e", "-o", "pipefail", "-c", command],
            input=command if python else None,
            stdin=None if python else subprocess.DEVNULL,
            cwd=self._folder,
            env={
                **os.environ,
                "PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}",
                "KERAS_HOME": str(self._keras),
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{page.name}: {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"

    def _keep(self, state: tuple[str, ...]) -> None:
        copy = self._kept / str(len(self._states))
        shutil.copytree(self._folder, copy, symlinks=True)
        self._states[state] = copy

    def _restore(self, state: tuple[str, ...]) -> None:
        """Puts the kept folder in the same place again: runs hold absolute paths."""
        if self._now != state:
            shutil.rmtree(self._folder)
            shutil.copytree(self._states[state], self._folder, symlinks=True)
            self._now = state


def runnable_commands(page: Path) -> list[str]:
    """The commands of a page that run here."""
    blocks = [block for block in blocks_of(page) if block.reason is None]
    return [command for block in blocks for command in block.commands if not command.startswith(INSTALLS)]


def history_of(page: Path) -> tuple[tuple[str, ...], list[str]]:
    """The state in which a page starts here, and the commands that follow."""
    commands = runnable_commands(page)
    if page not in SMALL:
        return (), commands
    assert commands[0] == TRAINED, page
    return (SMALL_RUN,), commands[1:]


def shared_beginnings(pages: list[Path]) -> set[tuple[str, ...]]:
    """The sequences of commands with which more than one page begins."""
    seen: set[tuple[str, ...]] = set()
    shared: set[tuple[str, ...]] = set()
    for page in pages:
        start, following = history_of(page)
        commands = [*start, *(command for command in following if not command.startswith(READERS))]
        beginnings = {tuple(commands[:count]) for count in range(1, len(commands) + 1)}
        shared |= beginnings & seen
        seen |= beginnings
    return shared


def _photo(class_name: str, seed: int) -> Image.Image:
    image = stripes(class_name == "dog", seed, size=(120, 160)) * np.array(TINTS[class_name])
    return Image.fromarray(image.astype(np.uint8))


def _write_photos(folder: Path) -> None:
    for class_name in TINTS:
        (folder / "photos" / class_name).mkdir(parents=True)
        for index in range(PER_CLASS):
            _photo(class_name, index).save(folder / "photos" / class_name / f"{index}.jpg")
    (folder / "new-photos").mkdir()
    for index, class_name in enumerate(TINTS):
        _photo(class_name, 50 + index).save(folder / "new-photos" / f"{index}.jpg")
    _photo("cat", 99).save(folder / "porch.jpg")


def _write_small_run(folder: Path) -> None:
    """A run whose network is small and easily fooled, so that attacks, searches and pictures take seconds."""
    directory = RunDirectory(folder / "runs" / "20260101-000000-small-photos")
    write_run(directory, train_network(), root=folder / "photos", class_names=("cat", "dog"), photos=SMALL_PHOTOS)
    Image.fromarray(faint_stripes(0, 99)).save(folder / "porch.jpg", quality=95, subsampling=0)


def write_imagenet_weights(folder: Path) -> None:
    """Writes random weights of MobileNetV2 where Keras looks for those of ImageNet.

    Filters are uniform over the pixels, and residual branches small, so that features follow the colours of a photo: a
    network of unrestricted random weights loses them when it is quantized.
    """
    import h5py
    import keras
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    from tledge.train.backbone import BACKBONES

    keras.utils.set_random_seed(0)
    network = BACKBONES.load("mobilenet_v2").build(160, None)
    names = {layer.name for layer in network.layers}
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
            if layer.name.replace("project_BN", "add") in names - {layer.name}:
                layer.gamma.assign(0.05 * layer.gamma)
        elif isinstance(layer, keras.layers.DepthwiseConv2D) or layer.name == "Conv1":
            kernel = np.asarray(layer.weights[0])
            layer.weights[0].assign(np.broadcast_to(3 * kernel.mean((0, 1), keepdims=True), kernel.shape))
    photos: list[Pixels] = [
        np.asarray(_photo(name, seed).resize((160, 160))) for name in TINTS for seed in range(100, 108)
    ]
    network(np.stack(photos).astype(np.float32) / 127.5 - 1, training=True)
    folder.mkdir(parents=True)
    with h5py.File(folder / WEIGHTS, "w") as file:
        save_weights_to_hdf5_group(file, network)
