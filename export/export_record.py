"""What an export leaves: artifacts, how far each is from the Keras model, and how they were found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tledge.core.artifact import Artifact
from tledge.edge_runtime.delegation import Delegation
from tledge.export.keras_parity import Parity
from tledge.export.tfmot import compressed_size

SCHEMA_VERSION = 1
RECORD = "export.json"
"""The name of the record within the artifacts' folder."""


@dataclass(frozen=True, kw_only=True)
class ExportedArtifact:
    """One artifact that an export made or found.

    Attributes:
        path: the model file.
        format: "tflite" or "onnx".
        recipe: its quantization.
        size: bytes.
        sha256: of the file.
        kept: it was there before and has been left as it was.
        parity: with the Keras model, on validation photos; None for one that was kept.
        compressed_size: bytes after DEFLATE, where sparsity was asked for.
        delegation: of a TFLite file, what XNNPACK computes; None for one that was kept.
        float_layers: layers of a quantized model that were left in float32.
        seconds: that making it took.
    """

    path: Path
    format: str
    recipe: str
    size: int
    sha256: str
    kept: bool
    parity: Parity | None = None
    compressed_size: int | None = None
    delegation: Delegation | None = None
    float_layers: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return {**asdict(self), "path": str(self.path)}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One thing that the search for a contract's artifact tried.

    Attributes:
        recipe: its quantization.
        float_layers: layers that were left in float32.
        drop: points of top-1 lost against the Keras model on the validation split.
        size: bytes.
        latency: median milliseconds an image, on one thread; None where the contract was not kept.
        kept: whether it loses no more than the contract allows.
    """

    recipe: str
    float_layers: tuple[str, ...]
    drop: float
    size: int
    latency: float | None
    kept: bool


@dataclass(frozen=True, kw_only=True)
class MaxDropSearch:
    """How the artifact of one format that keeps a contract was found.

    Attributes:
        format: "tflite" or "onnx".
        max_drop: points of top-1 that may be lost.
        images: photos of the validation split.
        trials: in the order that they were made.
        sensitivity: by layer, the power of the noise that quantizing it alone brings to the logits, relative to theirs;
            the largest first. Empty where no layer had to stay in float32.
        chosen: the name of the artifact.
    """

    format: str
    max_drop: float
    images: int
    trials: tuple[Trial, ...]
    sensitivity: tuple[tuple[str, float], ...]
    chosen: str

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class ExportRecord:
    """What one export did, as ``artifacts/export.json`` holds it.

    Attributes:
        artifacts: in the order of the formats and recipes.
        searches: one for each format, where a contract was given.
    """

    artifacts: tuple[ExportedArtifact, ...]
    searches: tuple[MaxDropSearch, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return {
            "schema_version": SCHEMA_VERSION,
            "artifacts": [artifact.to_dict() for artifact in self.artifacts],
            "searches": [search.to_dict() for search in self.searches],
        }


def describe_artifact(artifact: Artifact, *, kept: bool, sparse: bool = False, **found: Any) -> ExportedArtifact:
    """An artifact in the words of the record.

    Args:
        artifact: as it is in its place.
        kept: it was there before.
        sparse: its compressed size is of interest.
        found: what else is known of it, by the names of the attributes.
    """
    return ExportedArtifact(
        path=artifact.path,
        format=artifact.format,
        recipe=artifact.sidecar.recipe,
        size=artifact.size,
        sha256=artifact.sha256,
        kept=kept,
        float_layers=artifact.sidecar.float_layers,
        compressed_size=compressed_size(artifact.path) if sparse else None,
        **found,
    )
