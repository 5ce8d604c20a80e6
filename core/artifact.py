"""Artifacts: model files with a sidecar inside, and the same sidecar beside them.

The file ends in a checksum of its other bytes, which the sidecar inside announces; files of earlier versions have none.
The sidecar beside (``int8.tflite.json``) adds the SHA-256 of the model file. A model file works without it; if it is
there and the hash does not match, loading fails. A model made elsewhere only has the sidecar beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tledge.core import atomic, checksum, sidecar_storage
from tledge.core.errors import ArtifactError, SidecarMissingError
from tledge.core.field_bounds import Sha256
from tledge.core.json_text import json_text
from tledge.core.model_files import sha256_of_model, size_of_model, weight_files
from tledge.core.records import Record
from tledge.core.sidecar import Sidecar
from tledge.core.terminal_text import printable_text


@dataclass(frozen=True)
class Artifact:
    """A model file in the format "tflite", "onnx" or "keras", and its sidecar.

    Attributes:
        verified: its bytes are those that were written or adopted, by the checksum inside or the SHA-256 beside it.
    """

    path: Path
    format: str
    sidecar: Sidecar
    verified: bool = field(default=False, compare=False)

    @property
    def name(self) -> str:
        """The file's name, as shown in tables and results."""
        return self.path.name

    @property
    def size(self) -> int:
        """The size in bytes, of all files of the model."""
        return size_of_model(self.path)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the model, see ``sha256_of_model``."""
        return sha256_of_model(self.path)


def path_beside(model: Path) -> Path:
    """Returns the path of the sidecar beside a model file."""
    return model.with_name(model.name + ".json")


def files_of(model: Path) -> dict[str, Path]:
    """Returns all files that a copy of a model needs, by their names relative to its folder; its sidecar comes first.

    Raises:
        ArtifactError: see ``weight_files``.
    """
    names = [path_beside(model).name] if path_beside(model).exists() else []
    return {name: model.parent / name for name in (*names, *weight_files(model), model.name)}


def write_artifact(path: Path, model: bytes, sidecar: Sidecar) -> Artifact:
    """Writes a model with its sidecar inside, then the sidecar beside it.

    Args:
        path: where to write it; the suffix decides the format.
        model: the model file's bytes, without a sidecar.
        sidecar: its description.
    """
    model_format = sidecar_storage.format_of(path)
    labels = "".join(f"{printable_text(label)}\n" for label in sidecar.class_names).encode()
    content = sidecar_storage.embed(
        model, model_format, {sidecar_storage.SIDECAR: _with_checksum(sidecar), sidecar_storage.LABELS: labels}
    )
    # If the process is killed, the sidecar beside the model may be missing, but never wrong.
    path_beside(path).unlink(missing_ok=True)
    atomic.write_bytes(path, content)
    return write_sidecar_beside(path, sidecar)


def move_artifact(artifact: Artifact, path: Path) -> Artifact:
    """Moves an artifact and its sidecar within one file system, replacing what is at ``path``."""
    path_beside(path).unlink(missing_ok=True)
    artifact.path.replace(path)
    path_beside(artifact.path).replace(path_beside(path))
    atomic.flush_folder(path.parent)
    return Artifact(path, artifact.format, artifact.sidecar, artifact.verified)


def read_artifact(path: Path) -> Artifact:
    """Reads a model file's sidecar, and checks the file against the sidecar beside it if there is one.

    Raises:
        ArtifactError: the file does not exist, is not a regular file, is empty or cut off, has an unknown format or no
            sidecar, or does not match the checksum inside or the sidecar beside it.
    """
    model_format = sidecar_storage.format_of(path)
    try:
        inside = sidecar_storage.extract(path, model_format, sidecar_storage.SIDECAR)
    except OSError as error:
        raise ArtifactError(
            f"cannot read model '{path}': {error.strerror or error}; 'tledge export' creates one"
        ) from error
    beside = path_beside(path)
    if inside is None:
        if not beside.exists():
            raise SidecarMissingError(_describe_missing(path, model_format))
        artifact = Artifact(path, model_format, Sidecar.load(beside), verified=True)
        _check_sha256(artifact)
        return artifact
    verified = _check_announced(path, inside) or beside.exists()
    artifact = Artifact(path, model_format, Sidecar.from_json(inside, str(path)), verified)
    if beside.exists():
        outside = Sidecar.load(beside)
        _check_sha256(artifact)
        if outside != artifact.sidecar:
            raise ArtifactError(
                f"'{beside.name}' was edited and does not match the sidecar inside '{path}'; delete it, or export again"
            )
    return artifact


def _describe_missing(path: Path, model_format: str) -> str:
    """Returns what to do about a model file without a sidecar."""
    if model_format == "keras":
        return (
            f"'{path}' was not trained by tledge: `export(model='{path}', data='PHOTOS')` imports it as a run;"
            " if tledge trained it, it was changed or cut off: copy it again"
        )
    return (
        f"'{path}' has no sidecar, which holds its class names and preprocessing: describe a model made elsewhere with"
        f" 'tledge adopt {path}'; if tledge exported it, it was changed or cut off: copy it again"
    )


def write_sidecar_beside(path: Path, sidecar: Sidecar) -> Artifact:
    """Writes a sidecar beside a model file, which is not changed."""
    artifact = Artifact(path, sidecar_storage.format_of(path), sidecar, verified=True)
    atomic.write_json(path_beside(path), {**sidecar.to_dict(), "artifact_sha256": artifact.sha256})
    return artifact


def read_exported(path: Path, source: Artifact) -> Artifact:
    """Reads an artifact. Raises ArtifactError if it was not exported from the Keras model ``source``."""
    artifact = read_artifact(path)
    if artifact.sidecar.source_sha256 != source.sha256:
        source_run = artifact.sidecar.source_run
        origin = f"was exported from another model (run {source_run})" if source_run else "was made elsewhere"
        raise ArtifactError(f"'{path}' {origin}; export this run again with `overwrite=True`, or remove the file")
    return artifact


@dataclass(frozen=True, kw_only=True)
class _ArtifactDigest(
    Record, version=1, error=ArtifactError, remedy="export again, or delete it", kind="the sidecar in"
):
    """The field that only the sidecar beside a model has."""

    artifact_sha256: Sha256


def _check_sha256(artifact: Artifact) -> None:
    """Raises ArtifactError unless the sidecar beside the model was written for this file."""
    recorded = _ArtifactDigest.load(path_beside(artifact.path)).artifact_sha256
    if recorded != artifact.sha256:
        raise ArtifactError(
            f"'{path_beside(artifact.path).name}' does not match '{artifact.path}': it records SHA-256"
            f" {recorded[:12]}…, the model has {artifact.sha256[:12]}…:"
            f" {' or '.join(['the file', *weight_files(artifact.path)])} was changed, truncated or replaced;"
            " copy all files again, or export or adopt it again"
        )


@dataclass(frozen=True, kw_only=True)
class _Announcement(Record, version=1, error=ArtifactError, remedy="export the model again", kind="the sidecar in"):
    """The field that only the sidecar inside a model has."""

    checksum: str = ""


_ANNOUNCED = "crc32 at the end of the file"


def _with_checksum(sidecar: Sidecar) -> bytes:
    """Returns the sidecar inside a model, which announces the checksum: a file that lost it is not an earlier one."""
    content = {**sidecar.to_dict(), "checksum": _ANNOUNCED}
    return json_text(content, indent=2).encode()


def _check_announced(path: Path, sidecar: bytes) -> bool:
    """Returns whether a file has the checksum that the sidecar inside announces.

    Raises:
        ArtifactError: it has none, although one is announced.
    """
    found = checksum.written_checksum(path) is not None
    if not found and _Announcement.from_json(sidecar, str(path)).checksum:
        raise checksum.damage_error(path, "its end, which holds a checksum, is missing, or something was added to it")
    return found
