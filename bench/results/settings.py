"""What a benchmark measured and how: all that is needed to repeat it. Kept as ``run.json`` beside the results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

from tledge.bench.results.bench_options import MeasurementOptions
from tledge.bench.results.budget import parse_budget
from tledge.bench.results.photo_overlap import DROP, PhotoOverlap
from tledge.core.errors import MeasurementError
from tledge.core.field_bounds import Count, IsoTime, Matching, NotNegative, OptionalSha256, PositiveCount, TargetName
from tledge.core.options import options_of
from tledge.core.record_types import convert
from tledge.core.records import Record

NAME = "run.json"

NOT_REACHED = "interrupted before its turn"
"""The reason why a cell was skipped that was not started when the benchmark was stopped."""


@dataclass(frozen=True)
class Skipped:
    """An artifact that was not measured on a target.

    Attributes:
        artifact: the file's name.
        target: where it should have run; "" where no target of this machine takes it.
        reason: why, and how to get it.
        failed: the measurement was started and ended in an error.
    """

    artifact: str
    target: str
    reason: str
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class BenchSettings(
    MeasurementOptions, Record, version=1, error=MeasurementError, remedy="`bench()` writes it beside its results"
):
    """What a benchmark measured and how.

    The other attributes are those of ``MeasurementOptions``, with every default filled in.

    Attributes:
        version: of tledge.
        began: local time with its offset, ISO 8601.
        run: the run directory's name; empty where model files were given instead.
        files: absolute paths of the model files that were given.
        data: absolute path of the folder of labelled photos, in a benchmark of files; empty without one.
        artifacts: SHA-256 of each model file that was measured, by its name.
        selected, left_out: patterns of names of artifacts: ``SelectionOptions``; empty for none.
        targets: every target in full ("litert:cpu:2"), in order.
        queries: minimum number of timed queries of a cell, over all rounds.
        images: how many images were classified.
        class_names: the label of each logit; empty where nothing was classified.
        photos: fingerprint of the classified photos and their labels; empty where nothing was classified.
        skipped: what was not measured, and why.
        interrupted: the benchmark was stopped before its end.
        not_repeated: noisy or throttled rounds whose repetition was not reached before the benchmark was stopped.
        corruption_images: how many photos were corrupted by each corruption; 0 without any.
        overlap: of the classified photos with the training photos of the artifacts.
        doubts: sentences on models whose predictions look wrong, and what would mend them.
        input_size: HEIGHTxWIDTH of the input of files that leave it open; empty for the default.
        on: the place where the artifacts ran; empty on the machine that wrote the results.
        attacked_with: fingerprint of the attack set that was shown, or SHA-256 of the surrogate; empty without one.
        attacks: the fields of the :class:`~tledge.bench.robustness.attack_plan.AttackPlan` and the ``versions`` of its
            attacks above 1; empty without attacks.
    """

    version: str
    began: IsoTime
    run: str = field()
    files: tuple[str, ...] = field()
    data: str = field()
    artifacts: Mapping[str, OptionalSha256]
    targets: tuple[TargetName, ...] = field()
    rigor: str = field()
    rounds: Count = field()
    seconds: NotNegative = field()
    queries: Count
    batch_sizes: tuple[PositiveCount, ...] = field()
    images: Count
    class_names: tuple[str, ...]
    photos: str
    skipped: tuple[Skipped, ...]
    interrupted: bool = False
    selected: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    budget: tuple[str, ...] = ()
    seen_photos: str = DROP
    overlap: PhotoOverlap = field(default_factory=PhotoOverlap)
    doubts: tuple[str, ...] = ()
    not_repeated: Count = 0
    corruptions: tuple[str, ...] = ()
    corruption_images: Count = 0
    attacks: Mapping[str, Any] = field(default_factory=dict)
    attacked_with: str = ""
    on: str = ""
    input_size: Annotated[str, Matching(r"(\d{1,5}x\d{1,5})?", "HEIGHTxWIDTH, or empty")] = ""

    def __post_init__(self) -> None:
        convert(self.attacks.get("versions") or {}, dict[str, PositiveCount], "attacks.versions")
        for item in options_of(MeasurementOptions):
            if value := getattr(self, item.name):  # where nothing was timed, rounds and seconds are 0
                item.check(value)
        parse_budget(self.budget)

    @property
    def attack_versions(self) -> Mapping[str, int]:
        """The versions of the attacks above 1; empty in results from before they were recorded."""
        return self.attacks.get("versions") or {}

    def save(self, path: Path) -> None:
        """Writes ``run.json`` into a folder of results."""
        super().save(path / NAME)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads the ``run.json`` of a folder of results; errors are those of ``Record.load``."""
        return super().load(path / NAME)
