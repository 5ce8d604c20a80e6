"""How close an artifact's logits are to those of its Keras model, and whether that is close enough to keep it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tledge.core.cores import usable_cores
from tledge.core.cpu import CpuWarning, mismatch
from tledge.core.errors import ConversionError
from tledge.core.field_bounds import Count, Fraction, NotNegative
from tledge.core.image_batches import batches, map_ahead
from tledge.core.images import Pixels
from tledge.core.progress import Progress
from tledge.core.records import Record
from tledge.core.sidecar import Sidecar
from tledge.core.splits import Sample, Splits
from tledge.core.statistics import wilson_interval
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.runtime import default_target
from tledge.edge_runtime.target import Target
from tledge.edge_runtime.tensor import Logits
from tledge.export.recipes import LARGEST_DROP, Recipe, find_recipe

if TYPE_CHECKING:
    from tledge.export.export_record import ExportRecord

BATCH_SIZE = 32

LOST_PHOTOS = 1.5
"""With the usual limit, losing fewer photos than this never rejects an artifact, however few photos there are."""

ROUNDING = 1e-9
"""Points of top-1 that floating-point arithmetic may add to a drop."""


class ArtifactRejectedError(ConversionError):
    """An artifact was not kept, since its logits are too far from the Keras model's.

    Attributes:
        record: of the artifacts that were made or kept, if ``export()`` raised it.
    """

    def __init__(self, message: str, record: ExportRecord | None = None) -> None:
        super().__init__(message)
        self.record = record


@dataclass(frozen=True, kw_only=True)
class Parity(Record):
    """An artifact's predictions compared with those of the Keras model, on the same photos.

    Attributes:
        agreement: the fraction of photos for which both predict the same class.
        agreement_interval: its 95% Wilson interval.
        largest_difference: between two logits of the same photo and class.
        signal_to_noise: the power of the Keras model's logits over the power of the differences, in dB. The mean of
            each photo's logits is subtracted first, since no prediction depends on it. None without a difference.
        recall_change: by class name, the change in the fraction of its photos that are classified correctly; classes
            without photos are left out.
    """

    split: str
    images: Count
    agreement: Fraction
    agreement_interval: tuple[Fraction, Fraction]
    largest_difference: NotNegative
    signal_to_noise: float | None
    top1: Fraction
    keras_top1: Fraction
    recall_change: Mapping[str, float]

    @property
    def lost(self) -> float:
        """Photos that the Keras model classifies correctly, minus those that the artifact does."""
        return self.images * (self.keras_top1 - self.top1)

    @property
    def drop(self) -> float:
        """Points of top-1 (hundredths) that the artifact loses; negative if it is better."""
        return 100 * (self.keras_top1 - self.top1)


@dataclass(frozen=True)
class Reference:
    """Photos with the Keras model's logits.

    Attributes:
        samples: photos of the validation split.
        size: (height, width).
        logits: the Keras model's, float32 (photos, classes).
    """

    splits: Splits
    samples: tuple[Sample, ...]
    size: tuple[int, int]
    resize: str
    logits: Logits

    @classmethod
    def of_model(
        cls, model: Any, splits: Splits, samples: tuple[Sample, ...], *, size: tuple[int, int], resize: str
    ) -> Reference:
        """Runs a Keras model, from float32 RGB pixel values 0 to 255 (N, height, width, 3) to logits, on photos.

        Raises:
            RunError, ImageError: a photo is missing, has changed, or is unreadable.
        """
        splits.check_unchanged(samples)
        found = [
            np.asarray(model.predict_on_batch(pixels.astype(np.float32)), np.float32)
            for pixels in batches(splits.paths(samples), size, resize, BATCH_SIZE)
        ]
        return cls(splits, samples, size, resize, np.concatenate(found))

    def first(self, images: int) -> Reference:
        """Returns a reference of the first ``images`` photos."""
        return replace(self, samples=self.samples[:images], logits=self.logits[:images])

    def compare(self, artifact: Path) -> Parity:
        """Runs an artifact on the same photos, as a device would, and compares the logits.

        Raises:
            ArtifactError: it cannot be loaded or run.
            ConversionError: it gives logits that are not finite.
        """
        with ExitStack() as stack, warnings.catch_warnings():
            warnings.simplefilter("ignore", CpuWarning)  # the user chose the CPU
            # One thread each: operators without a parallel kernel would leave the other cores idle.
            idle = Queue[Classifier]()
            for _ in range(min(usable_cores(), -(-len(self.samples) // BATCH_SIZE))):
                idle.put(stack.enter_context(Classifier(artifact, target=one_thread(artifact))))

            def classify(pixels: Pixels) -> Logits:
                classifier = idle.get()
                try:
                    return classifier.logits(pixels)
                finally:
                    idle.put(classifier)

            loaded = batches(self.splits.paths(self.samples), self.size, self.resize, BATCH_SIZE)
            logits = np.concatenate(list(map_ahead(classify, loaded, ahead=usable_cores())))
        return self.compare_logits(logits)

    def compare_logits(self, logits: Logits) -> Parity:
        """Compares logits, float32 (photos, classes), of the same photos.

        Raises:
            ConversionError: some are not finite.
        """
        broken = int(np.count_nonzero(~np.isfinite(logits).all(axis=1)))
        if broken:
            raise ConversionError(f"the logits of {broken} of {len(logits)} photos are not finite; try another recipe")
        predicted, expected = logits.argmax(axis=1), self.logits.argmax(axis=1)
        labels = np.array([sample.label for sample in self.samples])
        difference = logits.astype(np.float64) - self.logits
        noise = float(np.square(_centred(difference)).sum())
        signal = float(np.square(_centred(self.logits.astype(np.float64))).sum())
        recall_change = {
            name: float(np.mean(predicted[labels == label] == label) - np.mean(expected[labels == label] == label))
            for label, name in enumerate(self.splits.class_names)
            if np.any(labels == label)
        }
        agreeing = int(np.count_nonzero(predicted == expected))
        return Parity(
            split="validation",
            images=len(labels),
            agreement=agreeing / len(labels),
            agreement_interval=wilson_interval(agreeing, len(labels)),
            largest_difference=float(np.abs(difference).max()),
            signal_to_noise=10 * math.log10(signal / noise) if noise and signal else None,
            top1=float(np.mean(predicted == labels)),
            keras_top1=float(np.mean(expected == labels)),
            recall_change=recall_change,
        )


def rejection_reasons(recipe: Recipe, parity: Parity, max_drop: float) -> list[str]:
    """Returns why an artifact is rejected, each reason as part of a sentence; nothing if it is accepted.

    Args:
        max_drop: points of top-1 that it may lose. With ``LARGEST_DROP`` a single photo is never too much.
    """
    reasons = []
    if parity.drop > max_drop + ROUNDING and (parity.lost > LOST_PHOTOS or max_drop < LARGEST_DROP):
        reasons.append(f"it loses {parity.drop:.1f} points of top-1 (limit {max_drop:g})")
    ratio, floor = parity.signal_to_noise, recipe.floor
    if floor is not None and ratio is not None and ratio < floor:
        reasons.append(f"the signal-to-noise ratio of its logits is {ratio:.0f} dB (limit {floor:g})")
    return reasons


def check_accepted(
    path: Path, sidecar: Sidecar, parity: Parity, *, max_drop: float, allow_drop: bool, progress: Progress
) -> None:
    """Checks that an artifact may be kept as ``path``; it may in any case with ``allow_drop``.

    An artifact for another kind of CPU is accepted with a warning, since its 8-bit products saturate on this machine.

    Raises:
        ArtifactRejectedError: it is too far from the Keras model.
    """
    recipe = find_recipe(sidecar.recipe)
    reasons = rejection_reasons(recipe, parity, max_drop)
    if mismatch(sidecar.cpu):
        progress.warn(
            f"{path.name} is for {sidecar.cpu} and was kept without checking its accuracy: on this CPU, 8-bit products"
            " saturate, so figures measured here do not apply to the device"
        )
    elif reasons and not allow_drop:
        kept = "; the existing file is unchanged" if path.exists() else ""
        advice = "`max_drop`, more `calibration_images`, or float16" if recipe.calibrated else "another recipe"
        raise ArtifactRejectedError(
            f"{path.name} was not kept: on {parity.images} {parity.split} photos {' and '.join(reasons)}; agreement"
            f" with Keras {parity.agreement:.3f}; try {advice}; or pass `allow_drop=True` to keep it{kept}"
        )


def one_thread(artifact: Path) -> Target:
    """Returns the target that runs a model file on one CPU thread."""
    usual = default_target(artifact.suffix.removeprefix("."))
    return Target(usual.runtime, usual.device, 1)


def _centred(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    centred: npt.NDArray[np.float64] = logits - logits.mean(axis=1, keepdims=True)
    return centred
