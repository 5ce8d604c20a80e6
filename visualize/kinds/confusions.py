"""Confusions: an artifact's most confident errors, and photos where it disagrees with the float model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tledge.core.errors import DataError, OptionError
from tledge.core.image_batches import batches
from tledge.core.images import Pixels
from tledge.core.progress import Progress, Step
from tledge.core.statistics import wilson_interval
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.batched_logits import LogitsFn, batched_logits
from tledge.edge_runtime.classifier import softmax
from tledge.edge_runtime.tensor import Logits
from tledge.visualize.file_names import slug
from tledge.visualize.kind import Kind
from tledge.visualize.pictures import Grid, Picture, Tile, enlarged_width
from tledge.visualize.section import Section, Table
from tledge.visualize.visualized_model import VisualizedModel, default_artifact

KERAS = "model.keras"
WIDTH = 128

BATCH_SIZE = 32
"""Photos per batch."""


@dataclass(frozen=True)
class Confusions(Kind):
    """Errors on the test split, the most confident first.

    Attributes:
        artifacts: names or files; default all of the run, with pictures for the 8-bit one.
        tiles: maximum number of errors, and of disagreements, shown per artifact.
    """

    title: ClassVar[str] = "Confusions"

    artifacts: Sequence[str] = ()
    tiles: int = 10

    def why_not(self, network: VisualizedModel) -> str:
        return network.needs_run

    def show(self, network: VisualizedModel, progress: Progress) -> Section:
        if self.tiles < 1:
            raise OptionError(f"`tiles` must be 1 or more; received {self.tiles}")
        artifacts = network.choose_artifacts(self.artifacts)
        photos = _TestPhotos.of(network)
        logits: dict[str, Logits] = {}
        with progress.step("test photos", len(photos.names) * (len(artifacts) + 1), "photos") as step:
            logits[KERAS] = photos.logits(network.logits, step)
            for artifact in artifacts:
                with Classifier(artifact.path) as classifier:
                    logits[artifact.name] = photos.logits(classifier.logits, step)
        classified = {
            name: ClassifiedPhotos(
                name=name,
                class_names=network.class_names,
                photos=photos.names,
                labels=photos.labels,
                scores=softmax(own),
                float_scores=softmax(logits[KERAS]),
            )
            for name, own in logits.items()
        }
        chosen = default_artifact(artifacts)
        shown = [item.name for item in artifacts] if self.artifacts else [KERAS if chosen is None else chosen.name]
        pictures = [picture for name in shown for picture in classified[name].pictures(self.tiles, photos.load)]
        return Section(
            title=self.title,
            sentences=[classified[name].sentence for name in shown],
            pictures=pictures,
            tables=[_table(list(classified.values()))],
            figures={
                "photos": len(photos.names),
                "artifacts": [item.figures(self.tiles) for item in classified.values()],
            },
        )


@dataclass(frozen=True, eq=False)
class _TestPhotos:
    """All photos of the test split, read in batches for each model.

    Attributes:
        names: names on the page.
        labels: (N,), class indices.
        paths: image files.
        network: gives the input size and the resize rule.
    """

    names: Sequence[str]
    labels: npt.NDArray[np.intp]
    paths: Sequence[Path]
    network: VisualizedModel

    @classmethod
    def of(cls, network: VisualizedModel) -> _TestPhotos:
        """Raises RunError if photos are missing or have changed, DataError if the run has none."""
        splits = network.splits
        samples = splits.test
        if not samples:
            raise DataError("the run has no test photos: train with `test_fraction` above 0")
        splits.check_unchanged(samples)
        labels = np.array([sample.label for sample in samples], np.intp)
        return cls([sample.path for sample in samples], labels, splits.paths(samples), network)

    def logits(self, model: LogitsFn, step: Step) -> Logits:
        """Computes a model's logits of all photos: float32 (N, classes)."""
        pixels = batches(self.paths, self.network.input_size, self.network.resize, BATCH_SIZE)
        return batched_logits(model, pixels, step=step)

    def load(self, photo: int) -> Pixels:
        """Reads one photo: uint8 (height, width, 3)."""
        return self.network.load(self.paths[photo])


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassifiedPhotos:
    """The predictions of one model for N photos.

    Attributes:
        name: name of the model.
        class_names: names by class index.
        photos: names of the photos.
        labels: (N,), class indices.
        scores: float32 (N, classes), softmax scores.
        float_scores: the same for the Keras model.
    """

    name: str
    class_names: Sequence[str]
    photos: Sequence[str]
    labels: npt.NDArray[np.intp]
    scores: Logits
    float_scores: Logits

    @property
    def predictions(self) -> npt.NDArray[np.intp]:
        found: npt.NDArray[np.intp] = self.scores.argmax(axis=1)
        return found

    @property
    def confidence(self) -> Logits:
        found: Logits = self.scores.max(axis=1)
        return found

    @property
    def wrong(self) -> list[int]:
        """Indices of misclassified photos, the most confident first."""
        return self._ordered(self.predictions != self.labels)

    @property
    def disagreeing(self) -> list[int]:
        """Indices of photos where it disagrees with the Keras model, the most confident first."""
        return self._ordered(self.predictions != self.float_scores.argmax(axis=1))

    def _ordered(self, where: npt.NDArray[np.bool_]) -> list[int]:
        found = np.flatnonzero(where)
        return [int(photo) for photo in found[np.argsort(-self.confidence[found], kind="stable")]]

    @property
    def sentence(self) -> str:
        wrong = self.wrong
        total = len(self.photos)
        sentence = f"{self.name} gets {len(wrong)} of {total} test photos wrong"
        if wrong:
            first = wrong[0]
            sentence += (
                f"; its most confident error takes {self.class_names[self.labels[first]]} for"
                f" {self.class_names[self.predictions[first]]} with score {self.confidence[first]:.3f}"
            )
        if self.name == KERAS:
            return sentence + "."
        return sentence + f"; it disagrees with the float model on {len(self.disagreeing)}."

    def pictures(self, most: int, load: Callable[[int], Pixels]) -> list[Picture]:
        """Returns grids of at most ``most`` errors and disagreements; ``load`` reads a photo by index."""
        found: list[Picture] = []
        if self.wrong:
            found.append(
                Grid(
                    name=f"confusions-{slug(self.name)}-wrong",
                    title=f"{self.name}: most confident errors",
                    caption="Misclassified test photos by confidence: the class, then the prediction and its score.",
                    tiles=[self._wrong_tile(photo, load(photo)) for photo in self.wrong[:most]],
                    columns=5,
                    tile_width=enlarged_width(load(self.wrong[0]), WIDTH),
                )
            )
        if self.disagreeing:
            found.append(
                Grid(
                    name=f"confusions-{slug(self.name)}-disagreeing",
                    title=f"{self.name}: disagreements with the float model",
                    caption="Test photos with another prediction by the Keras model; a tick marks the correct one.",
                    tiles=[self._disagreeing_tile(photo, load(photo)) for photo in self.disagreeing[:most]],
                    columns=5,
                    tile_width=enlarged_width(load(self.disagreeing[0]), WIDTH),
                )
            )
        return found

    def _wrong_tile(self, photo: int, pixels: Pixels) -> Tile:
        label = self.class_names[self.labels[photo]]
        prediction = f"{self.class_names[self.predictions[photo]]} {self.confidence[photo]:.3f}"
        return self._tile(photo, pixels, f"{label} → {prediction}", f"{label} classified as {prediction}")

    def _disagreeing_tile(self, photo: int, pixels: Pixels) -> Tile:
        right = self.labels[photo]
        lines = []
        for name, scores in ((self.name, self.scores), ("Keras", self.float_scores)):
            predicted = int(scores[photo].argmax())
            tick = " ✓" if predicted == right else ""
            lines.append(f"{name}: {self.class_names[predicted]} {scores[photo, predicted]:.3f}{tick}")
        return self._tile(photo, pixels, "\n".join(lines), f"{self.class_names[right]}. {'; '.join(lines)}")

    def _tile(self, photo: int, pixels: Pixels, label: str, alt: str) -> Tile:
        return Tile(pixels, label, f"{alt} ({self.photos[photo]})")

    def figures(self, most: int) -> dict[str, Any]:
        total, wrong = len(self.photos), self.wrong
        low, high = wilson_interval(total - len(wrong), total)
        return {
            "artifact": self.name,
            "top1": (total - len(wrong)) / total,
            "interval": [low, high],
            "wrong": len(wrong),
            "disagreeing": len(self.disagreeing),
            "surest_errors": [
                {
                    "photo": self.photos[photo],
                    "class": self.class_names[self.labels[photo]],
                    "answer": self.class_names[self.predictions[photo]],
                    "score": float(self.confidence[photo]),
                }
                for photo in wrong[:most]
            ],
            "disagreements": [
                {
                    "photo": self.photos[photo],
                    "class": self.class_names[self.labels[photo]],
                    "answer": self.class_names[self.predictions[photo]],
                    "float_answer": self.class_names[int(self.float_scores[photo].argmax())],
                    "score": float(self.confidence[photo]),
                }
                for photo in self.disagreeing[:most]
            ],
        }


def _table(classified: Sequence[ClassifiedPhotos]) -> Table:
    rows = []
    for item in classified:
        total, wrong = len(item.photos), item.wrong
        low, high = wilson_interval(total - len(wrong), total)
        confidence = f"{item.confidence[wrong[0]]:.3f}" if wrong else "–"
        disagreeing = "–" if item.name == KERAS else str(len(item.disagreeing))
        rows.append(
            (
                item.name,
                f"{1 - len(wrong) / total:.3f} ({low:.3f}–{high:.3f})",
                str(len(wrong)),
                confidence,
                disagreeing,
            )
        )
    return Table(
        caption=f"{len(classified[0].photos)} test photos",
        headings=("artifact", "top-1 (95% interval)", "wrong", "most confident error", "disagrees with Keras"),
        rows=rows,
    )


KIND = Confusions()
