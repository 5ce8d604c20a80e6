"""The sidecar: what must be known to run a model file rightly, and where the file comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tledge.core.errors import ArtifactError
from tledge.core.images import RESIZE_RULES
from tledge.core.preprocessing import Preprocessing

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The images that a quantized model took its ranges from.

    Attributes:
        images: how many.
        split: the split that they were drawn from.
        fingerprint: SHA-256 over their names and contents.
    """

    images: int
    split: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """What is written inside and beside an artifact.

    The model takes RGB pixel values 0 to 255, shape (N, height, width, 3), and gives logits (N, classes);
    its own preprocessing is in the graph. Where it is not, ``preprocessing`` says what comes before and after.

    Attributes:
        class_names: the label of each logit, in order.
        input_size: (height, width) of the images that the model takes.
        resize: the rule by which an image gets that size, one of ``core.images.RESIZE_RULES``.
        recipe: the quantization recipe ("int8").
        source_run: the name of the run that the model comes from.
        source_sha256: SHA-256 of the Keras model that it was converted from; empty for that model itself.
        calibration: what it was calibrated on, if it was.
        cpu: the CPUs that its integers are right on, one of ``core.cpu.CPUS``.
        float_layers: layers of a quantized model that stay float32.
        sparsity: the fraction of its kernels' weights that was pruned to zero.
        versions: the libraries that made it, by distribution name.
        preprocessing: of a model that was made elsewhere; None of our own.
    """

    class_names: tuple[str, ...]
    input_size: tuple[int, int]
    resize: str
    recipe: str
    source_run: str
    source_sha256: str = ""
    calibration: Calibration | None = None
    cpu: str = "any"
    float_layers: tuple[str, ...] = ()
    sparsity: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    preprocessing: Preprocessing | None = None
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold; ``from_dict`` reads it back."""
        return asdict(self)

    def to_json(self) -> bytes:
        """The sidecar as it is written inside an artifact."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2).encode()

    @classmethod
    def from_json(cls, content: bytes, name: str) -> Sidecar:
        """Reads a sidecar.

        Args:
            content: JSON, as ``to_json`` writes it.
            name: where it was found, for errors.

        Raises:
            ArtifactError: it is not JSON, misses a field or has a later schema version.
        """
        try:
            fields = json.loads(content)
        except ValueError as error:
            raise ArtifactError(
                f"the sidecar in '{name}' is not valid JSON ({error}); export the model again"
            ) from error
        if not isinstance(fields, dict):
            raise ArtifactError(f"the sidecar in '{name}' is a {type(fields).__name__}, not an object; export again")
        return cls.from_dict(fields, name)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], name: str) -> Sidecar:
        """Reads a sidecar from what ``to_dict`` gave; see :meth:`from_json`."""
        version = fields.get("schema_version")
        if version != SCHEMA_VERSION:
            raise ArtifactError(
                f"the sidecar in '{name}' has schema version {version!r}; this tledge reads {SCHEMA_VERSION}:"
                " use the tledge that wrote it, or export again"
            )
        try:
            height, width = (int(length) for length in fields["input_size"])
            calibration = fields.get("calibration")
            preprocessing = fields.get("preprocessing")
            sidecar = cls(
                class_names=tuple(str(label) for label in fields["class_names"]),
                input_size=(height, width),
                resize=str(fields["resize"]),
                recipe=str(fields["recipe"]),
                source_run=str(fields["source_run"]),
                source_sha256=str(fields.get("source_sha256", "")),
                calibration=Calibration(**calibration) if calibration else None,
                cpu=str(fields.get("cpu", "any")),
                float_layers=tuple(str(layer) for layer in fields.get("float_layers", ())),
                sparsity=float(fields.get("sparsity", 0.0)),
                versions=dict(fields.get("versions", {})),
                preprocessing=Preprocessing.from_dict(preprocessing) if preprocessing else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"the sidecar in '{name}' lacks or garbles a field: {error}; export again") from error
        if sidecar.resize not in RESIZE_RULES:
            raise ArtifactError(
                f"the sidecar in '{name}' asks for resize rule '{sidecar.resize}'; known here:"
                f" {', '.join(RESIZE_RULES)}: use a newer tledge"
            )
        return sidecar
