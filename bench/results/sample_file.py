"""Files of raw samples (``.npz``): arrays of declared shapes, and a record as JSON. Nothing in them is trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core.array_file import open_arrays
from tledge.core.atomic import replacing
from tledge.core.bounded_json import parse_json
from tledge.core.errors import MeasurementError, TledgeError

MOST_BYTES = 2 << 30
"""Of a file, and of all its arrays together: the logits of a million photos in 500 classes."""

RECORD = "record"

Arrays = Mapping[str, npt.NDArray[Any]]


def write_sample_file(path: Path, arrays: Arrays, record: Mapping[str, Any]) -> None:
    """Writes an ``.npz`` file, whole or not at all."""
    content: dict[str, Any] = {RECORD: json.dumps(record), **arrays}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **content)


def read_sample_file(path: Path, axes: Mapping[str, Sequence[str]]) -> tuple[Arrays, Mapping[str, Any]]:
    """Reads the arrays and the record of a file.

    Args:
        axes: the names of each array's axes, by the array's name. Axes of the same name must have the same length.

    Raises:
        MeasurementError: the file is absent, too large or damaged, or an array is missing, has other axes or is not of
            numbers; the array is named.
    """
    try:
        with open_arrays(path, MOST_BYTES, "file of samples") as stored:
            arrays = {name: stored[name] for name in axes}
            record = parse_json(str(stored[RECORD][()]))
        _check_axes(arrays, axes)
        if not isinstance(record, dict):
            raise ValueError(f"'{RECORD}' is not an object")
    except TledgeError:
        raise
    except KeyError as error:
        raise unreadable(path, f"'{error.args[0]}' is missing") from error
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error
    except Exception as error:  # NumPy and zipfile raise errors of a dozen types for damaged files
        raise unreadable(path, " ".join(str(error).split()) or type(error).__name__) from error
    return arrays, record


def unreadable(path: Path, reason: str) -> MeasurementError:
    """Returns the error for a file of samples that cannot be used."""
    return MeasurementError(f"cannot read '{path}': {reason}; benchmark again")


def _check_axes(arrays: Arrays, axes: Mapping[str, Sequence[str]]) -> None:
    lengths: dict[str, int] = {}
    for name, names in axes.items():
        array = arrays[name]
        if array.dtype.kind not in "fiu":
            raise ValueError(f"'{name}' is not of numbers but of {array.dtype}")
        if array.ndim != len(names):
            raise ValueError(f"'{name}' has {array.ndim} axes, not {len(names)}")
        for axis, length in zip(names, array.shape, strict=True):
            if lengths.setdefault(axis, length) != length:
                raise ValueError(f"'{name}' has {length} {axis}, not {lengths[axis]}")
