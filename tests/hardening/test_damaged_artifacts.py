"""Damaged artifacts through the commands: each is refused in one line, with and without the sidecar beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_trials import CommandForks, Trial
from foreign_graphs import Tensor, write_dense_onnx, write_dense_tflite
from support import TINY_SIDECAR, write_stripes

from tledge.core.artifact import path_beside, read_artifact, write_artifact
from tledge.core.errors import ArtifactError
from tledge.core.preprocessing import Preprocessing

MODELS = ("float32.tflite", "float32.onnx")

SIDECAR = replace(
    TINY_SIDECAR,
    preprocessing=Preprocessing(layout="nhwc", colour="rgb", input_range=(0.0, 1.0), mean=(), std=(), output="logits"),
)


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """A folder with a small TFLite and ONNX artifact, without the sidecars beside them."""
    size = TINY_SIDECAR.input_size
    classes = len(TINY_SIDECAR.class_names)
    folder = tmp_path / "artifacts"
    folder.mkdir()
    write_dense_tflite(tmp_path / "raw.tflite", Tensor((1, *size, 3)), Tensor((1, classes)))
    write_dense_onnx(tmp_path / "raw.onnx", (1, *size, 3), classes)
    for name in MODELS:
        content = (tmp_path / f"raw{Path(name).suffix}").read_bytes()
        path_beside(write_artifact(folder / name, content, SIDECAR).path).unlink()
    return folder


def damage(content: bytes, random: np.random.Generator, kind: int) -> bytes:
    """Returns a file with bits flipped, cut off, with something added or removed, or with zeros as a bad card reads."""
    place = int(random.integers(1, len(content)))
    if kind == 0:
        changed = bytearray(content)
        for start in random.integers(0, len(content), 1 + place % 8):
            changed[start] ^= 1 << int(random.integers(8))
        return bytes(changed) if bytes(changed) != content else content[:-1]
    if kind == 1:
        return content[:place]
    if kind == 2:
        return content + content[:place]
    if kind == 3:
        return content[:place] + content[place + 1 :]
    end = min(len(content), place + 512)
    zeros = content[: place - 1] + bytes(end - place + 1) + content[end:]
    return zeros if zeros != content else content[:-1]


@pytest.mark.parametrize("name", MODELS)
def test_no_damage_is_overlooked(tmp_path: Path, artifacts: Path, name: str, scale: int) -> None:
    whole, random = (artifacts / name).read_bytes(), np.random.default_rng(3)
    for number in range(250 * scale):
        (tmp_path / name).write_bytes(damage(whole, random, number % 5))
        with pytest.raises(ArtifactError):
            read_artifact(tmp_path / name)


@pytest.mark.parametrize("name", MODELS)
def test_a_damaged_lone_artifact_is_refused(tmp_path: Path, artifacts: Path, name: str, scale: int) -> None:
    write_stripes(tmp_path / "photos", per_class=1)
    photo = sorted((tmp_path / "photos").rglob("*.jpg"))[0]
    whole, random = (artifacts / name).read_bytes(), np.random.default_rng(0)
    target = tmp_path / name
    with CommandForks() as commands:
        target.write_bytes(whole)
        assert commands.run("predict", name, photo, cwd=tmp_path).code == 0
        for number in range(5 * scale):
            target.write_bytes(damage(whole, random, number % 5))
            assert_refused(commands.run("predict", name, photo, cwd=tmp_path), name)


def test_a_damaged_artifact_is_refused_by_every_command(tmp_path: Path, artifacts: Path, scale: int) -> None:
    random = np.random.default_rng(1)
    with CommandForks() as commands:
        for number in range(5 * scale):
            name = MODELS[number % 2]
            (tmp_path / name).write_bytes(damage((artifacts / name).read_bytes(), random, (0, 0, 2, 3, 4)[number % 5]))
            arguments = ("bench", name) if number % 3 else ("adopt", name)
            assert_refused(commands.run(*arguments, cwd=tmp_path), name)


def assert_refused(trial: Trial, name: str) -> None:
    assert not trial.faults(), trial
    assert trial.code in (1, 2), trial
    assert name in " ".join(trial.err.split()), trial
