"""Confusions: the photos that an artifact gets wrong most confidently, and those on which it left the float model."""

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
from tledge.edge_runtime.classifier import softmax
from tledge.edge_runtime.tensor import Logits
from tledge.visualize.file_names import slug
from tledge.visualize.kind import Kind
from tledge.visualize.pictures import Grid, Picture, Tile, enlarged_width
from tledge.visualize.section import Section, Table
from tledge.visualize.visualized_model import VisualizedModel, favourite

KERAS = "model.keras"
WIDTH = 128

BATCH_SIZE = 32
"""Photos that are held at a time."""


@dataclass(frozen=True)
class Confusions(Kind):
    """Errors on the test split, the most confident first.

    Attributes:
        artifacts: names or files; all of the run without them, with pictures of the 8-bit one.
        tiles: photos that are shown of each artifact's errors, and of its disagreements, at most.
    """

    title: ClassVar[str] = "Confusions"

    artifacts: Sequence[str] = ()
    tiles: int = 10

    def why_not(self, subject: VisualizedModel) -> str:
        return subject.needs_run

    def show(self, subject: VisualizedModel, progress: Progress) -> Section:
        if self.tiles < 1:
            raise OptionError(f"--tiles must be 1 or more; received {self.tiles}")
        artifacts = subject.choose_artifacts(self.artifacts)
        photos = _TestPhotos.of(subject)
        answers: dict[str, Logits] = {}
        with progress.step("test photos", len(photos.names) * (len(artifacts) + 1), "photos") as step:
            answers[KERAS] = photos.answers(subject.logits, step)
            for artifact in artifacts:
                with Classifier(artifact.path) as classifier:
                    answers[artifact.name] = photos.answers(classifier.logits, step)
        judged = {
            name: ClassifiedPhoto(
                name=name,
                class_names=subject.class_names,
                photos=photos.names,
                labels=photos.labels,
                scores=softmax(logits),
                float_scores=softmax(answers[KERAS]),
            )
            for name, logits in answers.items()
        }
        chosen = favourite(artifacts)
        shown = [item.name for item in artifacts] if self.artifacts else [KERAS if chosen is None else chosen.name]
        pictures = [picture for name in shown for picture in judged[name].pictures(self.tiles, photos.load)]
        return Section(
            title=self.title,
            sentences=[judged[name].sentence for name in shown],
            pictures=pictures,
            tables=[_table(list(judged.values()))],
            figures={"photos": len(photos.names), "artifacts": [item.figures(self.tiles) for item in judged.values()]},
        )


@dataclass(frozen=True, eq=False)
class _TestPhotos:
    """All photos of the test split, whose pixels are read anew for each model, some at a time.

    Attributes:
        names: what pages call them.
        labels: (N,), their classes.
        paths: their files.
        subject: whose input size and resize rule they get.
    """

    names: Sequence[str]
    labels: npt.NDArray[np.intp]
    paths: Sequence[Path]
    subject: VisualizedModel

    @classmethod
    def of(cls, subject: VisualizedModel) -> _TestPhotos:
        """Raises RunError where photos are gone or were changed, DataError where the run has none."""
        splits = subject.splits
        samples = splits.test
        if not samples:
            raise DataError("the run has no test photos: train with --test-fraction above 0")
        splits.check_unchanged(samples)
        labels = np.array([sample.label for sample in samples], np.intp)
        return cls([sample.path for sample in samples], labels, splits.paths(samples), subject)

    def answers(self, logits: Callable[[Pixels], Logits], step: Step) -> Logits:
        """What a model says of all of them: float32 (N, classes)."""
        parts = []
        for pixels in batches(self.paths, self.subject.input_size, self.subject.resize, BATCH_SIZE):
            parts.append(logits(pixels))
            step.advance(len(pixels))
        return np.concatenate(parts)

    def load(self, photo: int) -> Pixels:
        """The pixels of one: uint8 (height, width, 3)."""
        return self.subject.load(self.paths[photo])


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassifiedPhoto:
    """What one model says of N photos.

    Attributes:
        name: the model's.
        class_names: by index.
        photos: the names of the photos.
        labels: (N,), their classes.
        scores: float32 (N, classes), softmax.
        float_scores: the same of the Keras model.
    """

    name: str
    class_names: Sequence[str]
    photos: Sequence[str]
    labels: npt.NDArray[np.intp]
    scores: Logits
    float_scores: Logits

    @property
    def answers(self) -> npt.NDArray[np.intp]:
        found: npt.NDArray[np.intp] = self.scores.argmax(axis=1)
        return found

    @property
    def confidence(self) -> Logits:
        found: Logits = self.scores.max(axis=1)
        return found

    @property
    def wrong(self) -> list[int]:
        """Photos that it gets wrong, the most confident first."""
        return self._ordered(self.answers != self.labels)

    @property
    def disagreeing(self) -> list[int]:
        """Photos on which it left the Keras model, the most confident first."""
        return self._ordered(self.answers != self.float_scores.argmax(axis=1))

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
                f", the surest of them by calling a {self.class_names[self.labels[first]]}"
                f" {self.class_names[self.answers[first]]} with score {self.confidence[first]:.3f}"
            )
        if self.name == KERAS:
            return sentence + "."
        return sentence + f"; on {len(self.disagreeing)} it leaves the float model."

    def pictures(self, most: int, load: Callable[[int], Pixels]) -> list[Picture]:
        """The first of its errors and of its disagreements, ``most`` of each, whose pixels are read by ``load``."""
        found: list[Picture] = []
        if self.wrong:
            found.append(
                Grid(
                    name=f"confusions-{slug(self.name)}-wrong",
                    title=f"{self.name}: wrong, and sure of it",
                    caption="Test photos by how sure the answer is: the class, then the answer and its score.",
                    tiles=[self._wrong_tile(photo, load(photo)) for photo in self.wrong[:most]],
                    columns=5,
                    tile_width=enlarged_width(load(self.wrong[0]), WIDTH),
                )
            )
        if self.disagreeing:
            found.append(
                Grid(
                    name=f"confusions-{slug(self.name)}-disagreeing",
                    title=f"{self.name}: not what the float model says",
                    caption="Test photos on which the Keras model answers differently; a tick marks who is right.",
                    tiles=[self._disagreeing_tile(photo, load(photo)) for photo in self.disagreeing[:most]],
                    columns=5,
                    tile_width=enlarged_width(load(self.disagreeing[0]), WIDTH),
                )
            )
        return found

    def _wrong_tile(self, photo: int, pixels: Pixels) -> Tile:
        label = self.class_names[self.labels[photo]]
        answer = f"{self.class_names[self.answers[photo]]} {self.confidence[photo]:.3f}"
        return self._tile(photo, pixels, f"{label} → {answer}", f"A {label} that is taken for {answer}")

    def _disagreeing_tile(self, photo: int, pixels: Pixels) -> Tile:
        right = self.labels[photo]
        said = []
        for who, scores in ((self.name, self.scores), ("Keras", self.float_scores)):
            answer = int(scores[photo].argmax())
            tick = " ✓" if answer == right else ""
            said.append(f"{who}: {self.class_names[answer]} {scores[photo, answer]:.3f}{tick}")
        return self._tile(photo, pixels, "\n".join(said), f"A {self.class_names[right]}. {'; '.join(said)}")

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
                    "answer": self.class_names[self.answers[photo]],
                    "score": float(self.confidence[photo]),
                }
                for photo in wrong[:most]
            ],
            "disagreements": [
                {
                    "photo": self.photos[photo],
                    "class": self.class_names[self.labels[photo]],
                    "answer": self.class_names[self.answers[photo]],
                    "float_answer": self.class_names[int(self.float_scores[photo].argmax())],
                    "score": float(self.confidence[photo]),
                }
                for photo in self.disagreeing[:most]
            ],
        }


def _table(judged: Sequence[ClassifiedPhoto]) -> Table:
    rows = []
    for item in judged:
        total, wrong = len(item.photos), item.wrong
        low, high = wilson_interval(total - len(wrong), total)
        surest = f"{item.confidence[wrong[0]]:.3f}" if wrong else "–"
        left = "–" if item.name == KERAS else str(len(item.disagreeing))
        rows.append((item.name, f"{1 - len(wrong) / total:.3f} ({low:.3f}–{high:.3f})", str(len(wrong)), surest, left))
    return Table(
        caption=f"{len(judged[0].photos)} test photos",
        headings=("artifact", "top-1 (95% interval)", "wrong", "surest error", "disagrees with Keras"),
        rows=rows,
    )


KIND = Confusions()
