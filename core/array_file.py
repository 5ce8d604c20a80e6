"""Files of NumPy arrays, read within limits and never with pickles, which can execute code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import numpy.typing as npt

from tledge.core.regular_file import open_regular
from tledge.core.zip_limits import open_zip


def load_array(path: Path, *, mapped: bool = False) -> npt.NDArray[Any]:
    """Returns the array of an ``.npy`` file; what follows the array is ignored.

    Args:
        path: the file.
        mapped: read parts of the file when they are needed, instead of the whole now.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
        ValueError: it is no ``.npy`` file, is cut off, or has Python objects instead of numbers.
    """
    with open_regular(path) as file:
        if not mapped:
            found: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
            return found
    return np.lib.format.open_memmap(path, mode="r")


@contextmanager
def open_arrays(path: Path, limit: int | None = None, what: str = "file of arrays") -> Iterator[Mapping[str, Any]]:
    """Opens an ``.npz`` file, whose arrays are read when they are looked up.

    Args:
        path: the file.
        limit: the most bytes that the file, and all its arrays together, may have. None for files that are not
            compressed: their arrays are no larger than the file.
        what: the kind of file that is expected, for error messages.

    Raises:
        OSError: the file cannot be opened, is not a regular file, or is too long.
        ValueError: its arrays are too large, or it is compressed.
        Exception: NumPy and zipfile raise errors of a dozen types for damaged files.
    """
    with open_regular(path, limit, what) as file:
        _check_size(open_zip(file), limit)
        file.seek(0)
        with np.load(file, allow_pickle=False) as stored:
            yield stored


def _check_size(archive: ZipFile, limit: int | None) -> None:
    members = archive.infolist()
    size = sum(member.file_size for member in members)
    if limit is None and any(member.compress_type != ZIP_STORED for member in members):
        raise ValueError("it is compressed")
    if limit is not None and size > limit:
        raise ValueError(f"its arrays have {size:,} bytes; at most {limit:,} are read")
