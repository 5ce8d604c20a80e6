"""Damaged feature caches: each damaged file is discarded and computed again, with the same result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tledge.core.sealed_file import SEAL_SIZE, is_intact, is_sealed, remove_path, seal

pytestmark = pytest.mark.unit

FEATURES = np.arange(600, dtype=np.float32).reshape(60, 10)


def write_features(path: Path) -> bytes:
    np.save(path, FEATURES)
    seal(path, "set/00000.npy")
    return path.read_bytes()


def test_every_change_of_a_sealed_file_is_noticed(tmp_path: Path, scale: int) -> None:
    path = tmp_path / "00000.npy"
    whole = write_features(path)
    assert is_intact(path, "set/00000.npy")
    np.testing.assert_array_equal(np.load(path), FEATURES)
    assert not is_intact(path, "set/00001.npy"), "the file of other photos"
    random = np.random.default_rng(0)
    for _ in range(100 * scale):
        changed = bytearray(whole)
        changed[random.integers(len(changed))] ^= int(random.integers(1, 256))
        path.write_bytes(changed)
        assert not is_intact(path, "set/00000.npy")
        path.write_bytes(whole[: random.integers(len(whole))])
        assert not is_intact(path, "set/00000.npy")


def test_reversed_rows_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "00000.npy"
    whole = write_features(path)
    np.save(path, FEATURES[::-1])
    path.write_bytes(path.read_bytes() + whole[-SEAL_SIZE:])
    assert is_sealed(path)
    assert not is_intact(path, "set/00000.npy")


def test_whatever_stands_at_a_path_is_discarded(tmp_path: Path) -> None:
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to("nothing")
    for name in ("folder", "link", "absent"):
        assert not is_intact(tmp_path / name, "any")
        remove_path(tmp_path / name)
    assert not list(tmp_path.iterdir())
