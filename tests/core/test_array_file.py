"""Arrays are read within limits, and nothing in a file is executed."""

import os
from pathlib import Path

import numpy as np
import pytest

from tledge.core.array_file import load_array, open_arrays

pytestmark = pytest.mark.unit

ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("mapped", [False, True])
def test_an_array_is_read_and_what_follows_it_ignored(tmp_path: Path, mapped: bool) -> None:
    path = tmp_path / "a.npy"
    np.save(path, ARRAY)
    with path.open("ab") as file:
        file.write(b"the hash of its content")
    np.testing.assert_array_equal(load_array(path, mapped=mapped), ARRAY)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError):  # noqa: PT011 - NumPy's own words
        load_array(path, mapped=mapped)


@pytest.mark.parametrize("mapped", [False, True])
def test_python_objects_are_refused(tmp_path: Path, mapped: bool) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        load_array(tmp_path / "a.npy", mapped=mapped)
    np.savez(tmp_path / "a.npz", a=np.array([{}], dtype=object))
    with open_arrays(tmp_path / "a.npz") as stored, pytest.raises(ValueError, match="Object arrays"):
        stored["a"]


def test_files_that_are_not_compressed_need_no_limit(tmp_path: Path) -> None:
    np.savez(tmp_path / "plain.npz", a=ARRAY, b=ARRAY)
    with open_arrays(tmp_path / "plain.npz") as stored:
        assert list(stored) == ["a", "b"]
        np.testing.assert_array_equal(stored["b"], ARRAY)
    np.savez_compressed(tmp_path / "packed.npz", a=ARRAY)
    with pytest.raises(ValueError, match="it is compressed"), open_arrays(tmp_path / "packed.npz"):
        pass


def test_all_arrays_together_have_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros(10_000), b=np.zeros(10_000))
    size = 2 * (80_000 + 128)  # with NumPy's headers
    with open_arrays(path, size) as stored:
        assert not stored["b"].any()
    with (
        pytest.raises(ValueError, match="its arrays have 160,256 bytes; at most 160,255 are read"),
        open_arrays(path, size - 1),
    ):
        pass
    with pytest.raises(OSError, match="a file of arrays may have 10 at most"), open_arrays(path, 10):
        pass


def test_pipes_and_folders_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "absent"):
        with pytest.raises(OSError):  # noqa: PT011 - of several types
            load_array(tmp_path / name)
        with pytest.raises(OSError), open_arrays(tmp_path / name):  # noqa: PT011
            pass
