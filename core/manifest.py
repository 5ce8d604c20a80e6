"""``run.json``: the inputs and results of a training run. Written last, so its presence marks a finished run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Self

from tledge.core.errors import RunError
from tledge.core.field_bounds import Count, FileName, ImageSize, IsoTime, Items, OptionalSha256, Sha256
from tledge.core.images import RESIZE_RULES
from tledge.core.notebook import html_picture, html_table
from tledge.core.number_text import counted, interval_text, listed, network_name
from tledge.core.options import Choices
from tledge.core.records import Record

TFDS_PREFIX = "tfds:"
"""Starts the name of a data set of tensorflow-datasets."""


def data_name(source: str) -> str:
    """Returns the name of a data set: "photos" for ``/home/me/photos`` and ``photos.ZIP``, "tfds:NAME" unchanged."""
    if source.startswith(TFDS_PREFIX):
        return source
    return re.sub(r"(?<=.)\.(zip|csv|tsv|parquet)$", "", Path(source).resolve().name, flags=re.IGNORECASE) or source


@dataclass(frozen=True, kw_only=True)
class DataRecord(Record, error=RunError, remedy="train again"):
    """The images that a run was trained on.

    Attributes:
        source: the folder as the user gave it, or "digits" for the built-in data.
        fingerprint: SHA-256 over every image's name, class and content.
        images: number of images by class name.
        splits: number of images by split.
        skipped: broken files that the user allowed to skip.
        contradicted: files left out because the same photo is in another class.
        leaking: photos left out because the user's own split folders have them, or near-duplicates of them, in another
            split.
        near_duplicates: photos that nearly equal another one; they are kept in the same split.
        left_out: the number of files that are no photos, by suffix.
        archive_sha256: SHA-256 of the ZIP that the photos came in; empty without one.
        name: of the data set, for headings; "photos" for ``.`` in ``/home/me/photos``.
    """

    source: str
    fingerprint: OptionalSha256
    images: Mapping[str, Count]
    splits: Mapping[str, Count]
    skipped: tuple[str, ...] = ()
    contradicted: tuple[str, ...] = ()
    leaking: tuple[str, ...] = ()
    near_duplicates: Count = 0
    left_out: Mapping[str, Count] = field(default_factory=dict)
    archive_sha256: OptionalSha256 = ""
    name: str = ""

    @property
    def title(self) -> str:
        """Its name, also of a record from before names were kept."""
        return self.name or data_name(self.source)


@dataclass(frozen=True, kw_only=True)
class WeightsRecord:
    """Where a backbone's weights came from.

    Attributes:
        source: "imagenet", "none" or the path of a file.
        sha256: SHA-256 over the loaded weights; empty for "none".
    """

    source: str
    sha256: OptionalSha256 = ""


@dataclass(frozen=True, kw_only=True)
class RunManifest(Record, version=1, error=RunError, remedy="train again", most_bytes=64 << 20):
    """One finished training run.

    Attributes:
        name: the run directory's name.
        created: when the run started, ISO 8601 with offset.
        backbone: its registered name.
        weights: the backbone's weights before training.
        class_names: the label of each logit.
        input_size: (height, width).
        resize: the resize rule.
        seed: of the splits, the initial weights and the shuffling.
        config: every option of the training, by parameter name.
        data: what it was trained on.
        device: the backend and device that trained.
        versions: installed distributions.
        metrics: final figures: ``top1`` (with its 95% interval), ``loss`` and ``calibration_error`` of the validation
            and test splits; ``probe_validation_top1`` after the linear probe; ``best_epoch``, whose weights were kept
            (0 for the linear probe); ``best_epoch_share``, that epoch's share in the average with the linear probe;
            ``temperature`` that the logits were divided by; ``seconds_training``; ``peak_memory`` in bytes.
        model_sha256: SHA-256 of ``model.keras``.
        directory: the run directory that it was loaded from; not part of ``run.json``.
    """

    name: FileName
    created: IsoTime
    backbone: str
    weights: WeightsRecord
    class_names: Annotated[tuple[str, ...], Items(least=1)]
    input_size: ImageSize
    resize: Annotated[str, Choices("resize rule", RESIZE_RULES)]
    seed: int
    config: Mapping[str, Any]
    data: DataRecord
    device: str
    versions: Mapping[str, str]
    metrics: Mapping[str, int | float]
    model_sha256: Sha256
    directory: Path | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Returns the content of ``run.json``."""
        fields = super().to_dict()
        del fields["directory"]
        return fields

    @property
    def title(self) -> str:
        """What was trained, for headings: "MobileNetV2 on cats_vs_dogs"."""
        return f"{network_name(self.backbone)} on {self.data.title}"

    @property
    def imported(self) -> bool:
        """Whether the model was trained elsewhere, perhaps on photos of the test split."""
        return "model" in self.config

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads ``run.json``. Raises RunError if it is absent, garbled or of another schema version."""
        if not path.exists():
            raise RunError(f"'{path.parent}' is not a finished run: it has no run.json; 'tledge train' creates one")
        return replace(super().load(path), directory=path.parent)

    def _repr_html_(self) -> str:
        """Returns what a notebook shows: the data, the test accuracy and the training curves."""
        data = self.data
        splits = ", ".join(f"{split} {count:,}" for split, count in data.splits.items())
        top1, low, high = (self.metrics.get(f"test_top1{end}") for end in ("", "_low", "_high"))
        interval = "" if low is None or high is None else f" (95% interval {interval_text((low, high))})"
        rows = [
            ("Run", self.name),
            ("Data", f"{data.title}: {counted(sum(data.images.values()), 'photos')} ({splits})"),
            ("Classes", f"{len(self.class_names)}: {listed(self.class_names)}"),
            *([] if top1 is None else [("Top-1" if self.imported else "Test top-1", f"{top1:.3f}{interval}")]),
        ]
        curves = self.directory and html_picture(self.directory / "figures" / "training.png", "Training curves")
        return html_table(rows) + (curves or "")
