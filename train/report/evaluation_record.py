"""``evaluation.json``: the evaluation on the test split, overall and by class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tledge.core.field_bounds import Count, Fraction, NotNegative
from tledge.core.records import Record
from tledge.train.evaluation import Evaluation


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """The figures of one class.

    Attributes:
        precision: of the photos classified as the class, the fraction that belong to it; None if there are none.
        recall: of the photos of the class, the fraction classified correctly; None if there are none.
    """

    name: str
    photos: Count
    precision: Fraction | None
    recall: Fraction | None


@dataclass(frozen=True, kw_only=True)
class EvaluationRecord(Record, version=1):
    """An evaluation as JSON; the fields are those of :class:`~tledge.train.evaluation.Evaluation`.

    Raises:
        ValueError: ``confusion`` is not a square with a row for each class.
    """

    split: str
    photos: Count
    top1: Fraction
    top1_interval: tuple[Fraction, Fraction]
    loss: NotNegative
    calibration_error: Fraction
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[Count, ...], ...]

    def __post_init__(self) -> None:
        if {len(self.confusion), *map(len, self.confusion)} != {len(self.classes)}:
            raise ValueError(f"confusion: expected {len(self.classes)} rows and columns, one for each class")


def write_evaluation(path: Path, evaluation: Evaluation, class_names: Sequence[str]) -> None:
    """Writes ``evaluation.json`` for an evaluation on the test split."""
    counts = evaluation.confusion.sum(axis=1)
    EvaluationRecord(
        split="test",
        photos=len(evaluation.labels),
        top1=evaluation.top1,
        top1_interval=evaluation.top1_interval,
        loss=evaluation.loss,
        calibration_error=evaluation.calibration_error,
        classes=tuple(
            ClassFigures(
                name=name,
                photos=int(counts[label]),
                precision=_or_none(evaluation.precision[label]),
                recall=_or_none(evaluation.recall[label]),
            )
            for label, name in enumerate(class_names)
        ),
        confusion=tuple(map(tuple, evaluation.confusion.tolist())),
    ).save(path)


def _or_none(fraction: float) -> float | None:
    return None if math.isnan(fraction) else float(fraction)
