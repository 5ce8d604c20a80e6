"""All files of a model: an ONNX model can keep its weights in other files.

PyTorch writes them by default since 2.9, as ``model.onnx.data`` beside ``model.onnx``. Their names are in the model,
relative to its folder; reading them needs no library. Source: onnx/docs/ExternalData.md, onnx.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tledge.core.errors import ArtifactError
from tledge.core.fingerprint import sha256_of_file, sha256_of_records
from tledge.core.sidecar_storage import LENGTH, read_entry, read_header

_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""The fields of onnx.proto that lead to ``TensorProto.external_data``, by message."""

_REJECTED = "that is rejected, because a model could read any file so"


def weight_files(model: Path) -> tuple[str, ...]:
    """Returns the other files that hold a model's weights, relative to its folder and sorted; empty without any.

    Links count as their targets, which must be in the model's folder or in that of the file that the model is a link
    to: caches of model hubs link all files of a model to one folder. ONNX Runtime 1.32 has the same rule.

    Raises:
        ArtifactError: one is missing, shorter than the model says, or outside the model's folder.
    """
    needed = _external_data(model)
    folders = (model.parent.resolve(), model.resolve().parent) if needed else ()
    for name, size in needed.items():
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or parts[0] == "/" or ".." in parts or ":" in parts[0] or "\0" in name:
            raise ArtifactError(
                f"'{model}' refers to weights outside its folder, in '{name}': {_REJECTED}; save it again with its"
                " weights beside it"
            )
        if not any(_resolved(model.parent / name).is_relative_to(folder) for folder in folders):
            raise ArtifactError(
                f"'{name}', which holds weights of '{model}', is a link to another folder: {_REJECTED}; copy both files"
                " into one folder"
            )
        path = model.parent / name
        if not path.is_file():
            raise ArtifactError(
                f"'{model}' has its weights in another file, which is missing: expected '{path}'; copy that file too"
            )
        found = path.stat().st_size
        if found < size:
            raise ArtifactError(
                f"'{path}', which holds weights of '{model.name}', is truncated: it has {found:,} bytes of {size:,};"
                " copy it again"
            )
    return tuple(sorted(needed))


def sha256_of_model(model: Path) -> str:
    """Returns the SHA-256 of a model.

    That of a model in one file is that of the file. Otherwise it is over the name and the SHA-256 of each file, where
    the model file itself has no name, so it may be renamed.

    Raises:
        ArtifactError: the files of its weights are not complete.
    """
    content = sha256_of_file(model)
    others = weight_files(model)
    if not others:
        return content
    return sha256_of_records([("", content), *((name, sha256_of_file(model.parent / name)) for name in others)])


def size_of_model(model: Path) -> int:
    """Returns the bytes of all files of a model."""
    return sum(path.stat().st_size for path in (model, *(model.parent / name for name in weight_files(model))))


def _resolved(path: Path) -> Path:
    """Returns the file behind all links; "/" for links in a circle, which no folder contains."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # RuntimeError before Python 3.13
        return Path("/")


def _external_data(model: Path) -> dict[str, int]:
    """Returns the locations in an ONNX file, and the bytes that each file must have; empty for other formats."""
    needed: dict[str, int] = {}
    if model.suffix.lower() != ".onnx" or model.stat().st_size == 0:
        return needed
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(b"location") < 0:  # most models: nothing to decode
            return needed
        try:
            for entries in _tensors(content, "model", len(content)):
                name = entries.get(b"location", b"").decode("utf-8", "surrogateescape")
                end = int(entries.get(b"offset", 0)) + int(entries.get(b"length", 0))
                needed[name] = max(end, needed.get(name, 0))
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"'{model}' is not a complete ONNX model ({error}): copy or export it again") from error
    return needed


def _tensors(content: Any, kind: str, end: int) -> Iterator[dict[bytes, bytes]]:
    """Yields the external data entries, key and value, of each tensor of a message that has any."""
    entries: dict[bytes, bytes] = {}
    while content.tell() < end:
        number, wire, length = read_header(content)
        after = content.tell() + length
        inside = _INSIDE[kind].get(number) if wire == LENGTH else None
        if inside == "entry":
            pair = read_entry(content.read(length))
            entries[pair.get(1, b"")] = pair.get(2, b"")
        elif inside is not None:
            yield from _tensors(content, inside, after)
        content.seek(after)
    if entries:
        yield entries
