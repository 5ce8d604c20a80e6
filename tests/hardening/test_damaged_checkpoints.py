"""Damaged checkpoints: each is read, falls back to the one before, or ends in a ``RunError``."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tledge.core.errors import RunError
from tledge.core.progress import Progress
from tledge.train.best_weights import BestWeights
from tledge.train.checkpoint import Checkpoint, CheckpointFiles
from tledge.train.history import FULL, Epoch

pytestmark = pytest.mark.unit

WEIGHTS = [np.full((2, 3), value, np.float32) for value in range(3)]


def make_checkpoint(epochs: int) -> Checkpoint:
    history = tuple(Epoch(FULL, number, 1.0, 0.5, 0.9, 0.5, 1.0) for number in range(1, epochs + 1))
    weights = [array + epochs for array in WEIGHTS]
    best = BestWeights(start=WEIGHTS, start_loss=1.0, weights=weights, epoch=epochs, loss=0.9)
    return Checkpoint(history=history, weights=weights, optimizer=[np.array(epochs, np.int64)], best=best)


def truncate(content: bytes, random: np.random.Generator) -> bytes:
    return content[: random.integers(len(content))]


def flip(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for place in random.integers(0, len(changed), 4):
        changed[place] ^= int(random.integers(1, 256))
    return bytes(changed)


def rewrite(content: bytes, random: np.random.Generator) -> bytes:
    """Swaps, removes or replaces arrays, and writes a valid file without the hash."""
    with np.load(io.BytesIO(content)) as stored:
        arrays: dict[str, Any] = {name: stored[name] for name in stored.files}
    names = [name for name in arrays if name != "metadata"]
    one, other = random.choice(names, 2, replace=False)
    replaced = [arrays[other], np.full_like(arrays[one], np.nan, np.float32), np.zeros((9, 9)), np.array(["text"])]
    choice = int(random.integers(len(replaced) + 2))
    if choice < len(replaced):
        arrays[one] = replaced[choice]
    elif choice == len(replaced):
        del arrays[one]
    else:
        arrays["metadata"] = np.frombuffer(flip(arrays["metadata"].tobytes(), random), np.uint8)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def replace_whole(content: bytes, random: np.random.Generator) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.npy", b"0" * 100_000)
    return [b"", b"{}", random.bytes(500), packed.getvalue(), content + content][int(random.integers(5))]


@pytest.mark.parametrize("damage", [truncate, flip, rewrite, replace_whole])
def test_damaged_checkpoints_fall_back_or_are_errors(
    tmp_path: Path, damage: Callable[[bytes, np.random.Generator], bytes], scale: int
) -> None:
    random = np.random.default_rng(0)
    warnings: list[str] = []

    class Warnings(Progress):
        def warn(self, text: str) -> None:
            warnings.append(text)

    ends = {"fallback": 0, "error": 0}
    for number in range(50 * scale):
        files = CheckpointFiles(tmp_path / str(number))
        files.save(make_checkpoint(1))
        files.save(make_checkpoint(2))
        latest = files.latest.read_bytes()
        files.latest.write_bytes(damage(latest, random))
        if files.latest.read_bytes() == latest:
            continue
        found = files.load(WEIGHTS, FULL, Warnings())
        assert found is not None
        assert len(found.history) == 1, "the checkpoint before is used"
        np.testing.assert_array_equal(found.weights[1], WEIGHTS[1] + 1)
        ends["fallback"] += 1
        files.previous.write_bytes(damage(files.previous.read_bytes(), random))
        with pytest.raises(RunError, match="remove its run and train again"):
            files.load(WEIGHTS, FULL, Warnings())
        ends["error"] += 1
    assert ends["fallback"] > 40 * scale, ends
    assert ends["error"] > 40 * scale, ends
    assert all("continuing from the checkpoint before it, epoch 1" in text for text in warnings)


def test_a_kill_between_two_checkpoints_leaves_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = CheckpointFiles(tmp_path)
    files.save(make_checkpoint(1))
    files.latest.replace(files.previous)
    found = files.load(WEIGHTS, FULL, Progress())
    assert found is not None
    assert len(found.history) == 1
