"""The sidecar: what is needed to run a model file correctly, and where the file comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated
from unicodedata import normalize

from tledge.core.cpu import CPUS
from tledge.core.errors import ArtifactError
from tledge.core.field_bounds import Count, Fraction, ImageSize, Items, OptionalSha256, Sha256, shown
from tledge.core.images import RESIZE_RULES
from tledge.core.options import Choices
from tledge.core.preprocessing import Preprocessing
from tledge.core.records import Record
from tledge.core.seen_photos import SeenPhotos


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The images from which the ranges of a quantized model were measured.

    Attributes:
        images: how many.
        split: the split that they were drawn from.
        fingerprint: SHA-256 over their names and contents.
    """

    images: Count
    split: str
    fingerprint: Sha256


@dataclass(frozen=True, kw_only=True)
class Sidecar(Record, version=1, error=ArtifactError, remedy="export the model again", kind="the sidecar in"):
    """The description of a model that is stored inside and beside an artifact.

    The model takes RGB pixel values 0 to 255, shape (N, height, width, 3), and returns logits (N, classes); its
    preprocessing is part of the graph. For a model made elsewhere, ``preprocessing`` describes what is applied before
    and after it.

    Attributes:
        class_names: the label of each logit, in order, in Unicode NFC.
        input_size: (height, width) of the model's input.
        resize: how images are resized to that size, one of ``core.images.RESIZE_RULES``.
        recipe: the quantization recipe ("int8").
        source_run: the name of the run that the model comes from.
        source_sha256: SHA-256 of the Keras model that it was converted from; empty for that model itself.
        calibration: what it was calibrated on; None without calibration.
        cpu: the CPUs on which its integer arithmetic is exact, one of ``core.cpu.CPUS``.
        float_layers: layers of a quantized model that stay float32.
        sparsity: the fraction of kernel weights that were pruned to zero.
        versions: the libraries that made it, by distribution name.
        preprocessing: of a model made elsewhere; None for models that tledge exported.
        seen_photos: fingerprints of the training and validation photos; None if they are not known.

    Raises:
        ValueError: ``resize`` is not a known rule.
    """

    class_names: Annotated[tuple[str, ...], Items(least=1)]
    input_size: ImageSize
    resize: str
    recipe: str
    source_run: str
    source_sha256: OptionalSha256 = ""
    calibration: Calibration | None = None
    cpu: Annotated[str, Choices("CPU", CPUS)] = "any"
    float_layers: tuple[str, ...] = ()
    sparsity: Fraction = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    preprocessing: Preprocessing | None = None
    seen_photos: SeenPhotos | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", tuple(normalize("NFC", name) for name in self.class_names))
        if self.resize not in RESIZE_RULES:
            known = ", ".join(RESIZE_RULES)
            raise ValueError(
                f"resize rule {shown(self.resize)} is unknown (known: {known}); update tledge if a newer version wrote"
                " it"
            )
