"""The model card of a training that nobody ran."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tledge.core.manifest import DataRecord, RunManifest, WeightsRecord
from tledge.train.evaluation import Evaluation
from tledge.train.history import FINE_TUNE, PROBE, Epoch
from tledge.train.report.model_card import write_model_card

SETTINGS = {
    **{"backbone": "mobilenet", "alpha": 1.0, "image_size": 32, "resize": "crop", "precision": "float32", "seed": 5},
    **{"fine_tune_from": "3", "learning_rate": 0.001, "batch_size": 8, "label_smoothing": 0.1, "adversarial": None},
    **{"weights": "imagenet", "pretrained": True, "license": None, "dataset_name": None},
    **{"augment": True, "flip": True, "crop": 0.7, "rotation": 10.0, "colour": 0.2, "class_weights": True},
}


def rows(phase: str, count: int) -> list[Epoch]:
    return [Epoch(phase, number, 1, 1, 1, 0.9, 1) for number in range(1, count + 1)]


def card(
    folder: Path,
    *,
    photos: list[int] | None = None,
    images: dict[str, int] | None = None,
    names: tuple[str, ...] | None = None,
    metrics: dict[str, float] | None = None,
    epochs: list[Epoch] | None = None,
    source: str = "imagenet",
    data: dict[str, Any] | None = None,
    **settings: Any,
) -> str:
    """The card of a model that takes one photo of each class for the next class's, and is right about the others."""
    photos = photos or [30, 30]
    names = names or tuple(f"class {label}" for label in range(len(photos)))
    labels = np.repeat(np.arange(len(photos)), photos)
    predicted = labels.copy()
    predicted[np.cumsum(photos) - 1] = (labels[np.cumsum(photos) - 1] + 1) % len(photos)
    manifest = RunManifest(
        name="run",
        created="",
        backbone="mobilenet",
        weights=WeightsRecord(source=source, sha256="w" * 64),
        class_names=names,
        input_size=(32, 32),
        resize="crop",
        seed=5,
        config={},
        data=DataRecord(
            **{"source": "/home/me/photos", "fingerprint": "f" * 64, "splits": {}, **(data or {})},
            images=images or dict.fromkeys(names, 90),
        ),
        device="TensorFlow on CPU",
        versions={"keras": "3", "numpy": "2"},
        metrics={
            "test_top1": 0.96254,
            "best_epoch": 2.0,
            "best_epoch_share": 1.0,
            "probe_validation_top1": 0.875,
            **(metrics or {}),
        },
        model_sha256="m" * 64,
    )
    changed: Any = SimpleNamespace(**{**SETTINGS, **settings})
    write_model_card(
        folder / "card.md",
        manifest,
        settings=changed,
        epochs=rows(PROBE, 4) + rows(FINE_TUNE, 3) if epochs is None else epochs,
        evaluation=Evaluation(np.eye(len(photos))[predicted] * 9, labels),
        figures=[("Curves", folder / "figures" / "a.png")],
    )
    return (folder / "card.md").read_text()
