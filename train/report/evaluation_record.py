"""``evaluation.json``: the test split, class by class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from tledge.core import atomic
from tledge.train.evaluation import Evaluation

SCHEMA_VERSION = 1


def write_evaluation(path: Path, evaluation: Evaluation, class_names: Sequence[str]) -> None:
    """Writes precision and recall of each class, the confusion matrix and the calibration error."""
    counts = evaluation.confusion.sum(axis=1)
    atomic.write_json(
        path,
        {
            "schema_version": SCHEMA_VERSION,
            "split": "test",
            "photos": len(evaluation.labels),
            "top1": evaluation.top1,
            "top1_interval": list(evaluation.top1_interval),
            "loss": evaluation.loss,
            "calibration_error": evaluation.calibration_error,
            "classes": [
                {
                    "name": name,
                    "photos": int(counts[label]),
                    "precision": _or_none(evaluation.precision[label]),
                    "recall": _or_none(evaluation.recall[label]),
                }
                for label, name in enumerate(class_names)
            ],
            "confusion": evaluation.confusion.tolist(),
        },
    )


def _or_none(fraction: float) -> float | None:
    return None if math.isnan(fraction) else float(fraction)
