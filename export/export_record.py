"""The record of an export: the artifacts, how far each is from the Keras model, and how they were found."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tledge.core.artifact import Artifact
from tledge.core.errors import ArtifactError
from tledge.core.field_bounds import Count, NotNegative, Sha256
from tledge.core.notebook import html_table
from tledge.core.number_text import ABSENT
from tledge.core.options import Choices
from tledge.core.records import Record
from tledge.core.sizes import size_text
from tledge.edge_runtime.delegation import Delegation
from tledge.export.keras_parity import Parity

Format = Annotated[str, Choices("format", ("tflite", "onnx"))]

RECORD = "export.json"
"""The name of the record in the folder of artifacts."""


@dataclass(frozen=True, kw_only=True)
class ExportedArtifact(Record):
    """One artifact that an export made or found.

    Attributes:
        format: "tflite" or "onnx".
        size: bytes.
        kept: whether it existed before and was left unchanged.
        parity: with the Keras model, on validation photos; None for one that was kept.
        compressed_size: bytes after DEFLATE, of a pruned model.
        delegation: which nodes of a TFLite file XNNPACK computes; None for one that was kept.
        float_layers: layers of a quantized model that were left in float32.
        seconds: time to make it.
    """

    path: Path
    format: Format
    recipe: str
    size: Count
    sha256: Sha256
    kept: bool
    parity: Parity | None = None
    compressed_size: Count | None = None
    delegation: Delegation | None = None
    float_layers: tuple[str, ...] = ()
    seconds: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One artifact that a search tried.

    Attributes:
        float_layers: layers that were left in float32.
        drop: points of top-1 lost against the Keras model on the validation split.
        size: bytes.
        latency: median milliseconds per image on one thread; None where it loses more than allowed.
        kept: whether it loses no more than allowed.
    """

    recipe: str
    float_layers: tuple[str, ...]
    drop: float
    size: Count
    latency: NotNegative | None
    kept: bool


@dataclass(frozen=True, kw_only=True)
class MaxDropSearch(Record):
    """How the smallest artifact that loses no more than allowed was found, for one format.

    Attributes:
        format: "tflite" or "onnx".
        max_drop: points of top-1 that may be lost.
        images: photos of the validation split.
        sensitivity: by layer, the power of the noise in the logits when this layer alone is quantized, as a fraction of
            the logits' power; the largest first. Empty if no layer had to stay in float32.
        chosen: the name of the artifact.
    """

    format: Format
    max_drop: NotNegative
    images: Count
    trials: tuple[Trial, ...]
    sensitivity: tuple[tuple[str, float], ...]
    chosen: str


@dataclass(frozen=True, kw_only=True)
class ExportRecord(Record, version=1, error=ArtifactError, remedy="delete it; the next export writes it again"):
    """What one export did; ``artifacts/export.json`` holds it.

    Attributes:
        artifacts: in the order of the formats and recipes.
        searches: one for each format, if ``max_drop`` was given.
    """

    artifacts: tuple[ExportedArtifact, ...]
    searches: tuple[MaxDropSearch, ...] = ()

    def _repr_html_(self) -> str:
        """Returns what a notebook shows: a table of the artifacts; one that was kept was not compared again."""
        rows = [
            (
                item.path.name,
                size_text(item.size),
                *((f"{item.parity.agreement:.3f}", f"{item.parity.top1:.3f}") if item.parity else (ABSENT, ABSENT)),
            )
            for item in self.artifacts
        ]
        return html_table(rows, headings=("Artifact", "Size", "Agreement with Keras", "Validation top-1"))


def describe_artifact(artifact: Artifact, *, kept: bool, sparse: bool = False, **found: Any) -> ExportedArtifact:
    """Describes an artifact for the record.

    Args:
        sparse: whether to measure its compressed size.
        found: other attributes of ``ExportedArtifact``.
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


def compressed_size(path: Path) -> int:
    """Returns the bytes that a file takes when compressed (DEFLATE, level 9), as in a ZIP archive or an app package."""
    return len(zlib.compress(path.read_bytes(), 9))
