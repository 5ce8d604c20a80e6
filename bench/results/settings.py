"""What a benchmark was asked to do: all that is needed to do it again. It stands as ``run.json`` beside the results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tledge.core import atomic
from tledge.core.errors import MeasurementError

SCHEMA_VERSION = 1
NAME = "run.json"


@dataclass(frozen=True)
class Skipped:
    """A cell that was not measured.

    Attributes:
        artifact: the file's name.
        target: where it should have run; "" where no target of this machine takes it.
        reason: why, and how to get it.
        failed: it was begun and ended in an error.
    """

    artifact: str
    target: str
    reason: str
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class BenchSettings:
    """What a benchmark measured and how.

    Attributes:
        version: of tledge.
        began: local time with its offset, ISO 8601.
        run: the run directory's name; empty where model files were given instead.
        files: absolute paths of the model files that were given.
        data: absolute path of the folder of labelled photos, in a benchmark of files; empty without one.
        artifacts: SHA-256 of each model file that was measured, by its name.
        targets: what the cells ran on, in full ("litert:cpu:2"), in order.
        rigor: "quick" or "mlperf".
        rounds: fresh processes a cell.
        seconds: least duration of a cell's timed queries, of all rounds together.
        queries: least number of a cell's timed queries, of all rounds together.
        batch_sizes: those of the offline scenario.
        images: how many images were classified.
        class_names: the label of each logit; empty where nothing was classified.
        photos: fingerprint of the classified photos and their labels; empty where nothing was classified.
        skipped: what was not measured, and why.
        interrupted: a person stopped it before the end.
        corruptions: by which photos were corrupted; none where that was not asked for.
        corruption_images: how many photos were corrupted by each.
        on: where the artifacts ran, as ``--on`` names it; empty on the machine that wrote the results.
        attacked_with: fingerprint of the attack set that was shown, or SHA-256 of the surrogate; empty without one.
        attacks: the attacks' plan, as ``AttackPlan.to_dict`` has it; empty where none was asked for.
    """

    version: str
    began: str
    run: str
    files: tuple[str, ...]
    data: str
    artifacts: Mapping[str, str]
    targets: tuple[str, ...]
    rigor: str
    rounds: int
    seconds: float
    queries: int
    batch_sizes: tuple[int, ...]
    images: int
    class_names: tuple[str, ...]
    photos: str
    skipped: tuple[Skipped, ...]
    interrupted: bool = False
    corruptions: tuple[str, ...] = ()
    corruption_images: int = 0
    attacks: Mapping[str, Any] = field(default_factory=dict)
    attacked_with: str = ""
    on: str = ""

    def save(self, folder: Path) -> None:
        """Writes ``run.json``."""
        atomic.write_json(folder / NAME, {"schema_version": SCHEMA_VERSION, **asdict(self)})

    @classmethod
    def load(cls, folder: Path) -> BenchSettings:
        """Reads the ``run.json`` of a folder of results.

        Raises:
            MeasurementError: absent, garbled, or of a later schema version.
        """
        path = folder / NAME
        try:
            fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            version = fields.pop("schema_version")
            if version != SCHEMA_VERSION:
                raise ValueError(f"schema version {version}; this tledge reads {SCHEMA_VERSION}")
            for name in ("files", "targets", "batch_sizes", "class_names"):
                fields[name] = tuple(fields[name])
            fields["corruptions"] = tuple(fields.get("corruptions", ()))
            fields["skipped"] = tuple(Skipped(**item) for item in fields["skipped"])
            return cls(**fields)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise MeasurementError(
                f"cannot read '{path}': {error}; 'tledge bench' writes it beside its results"
            ) from error
