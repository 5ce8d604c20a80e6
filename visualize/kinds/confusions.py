"""Confusions: an artifact's most confident errors, and photos where it disagrees with the float model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tledge.attacks.goal import Indices
from tledge.core.images import Pixels
from tledge.core.number_text import ABSENT, interval_text
from tledge.core.progress import Progress
from tledge.core.statistics import wilson_interval
from tledge.edge_runtime.batched_logits import batched_logits
from tledge.edge_runtime.tensor import Logits, softmax
from tledge.visualize.kind import Kind
from tledge.visualize.photo_choice import LabelledPhotos
from tledge.visualize.pictures import Grid, Picture, Tile, enlarged_width, scored, slug
from tledge.visualize.section import Section, Table
from tledge.visualize.visualized_model import VisualizedModel, artifact_logits, default_artifact

KERAS = "model.keras"
WIDTH = 128


@dataclass(frozen=True)
class Confusions(Kind):
    """Errors on the test split, the most confident first.

    Attributes:
        artifacts: names or files; default all of the run, with pictures for the 8-bit one.
        tiles: maximum number of errors, and of disagreements, shown per artifact.
    """

    title: ClassVar[str] = "Errors"
    order: ClassVar[int] = 5

    artifacts: Sequence[str] = ()
    tiles: int = 10

    def why_not(self, network: VisualizedModel) -> str:
        return network.needs_run

    def show(self, network: VisualizedModel, progress: Progress) -> Section:
        artifacts = network.choose_artifacts(self.artifacts)
        photos = LabelledPhotos.of(network)
        logits: dict[str, Logits] = {}
        with progress.step(network.photo_kind, len(photos) * (len(artifacts) + 1), "photos") as step:
            logits[KERAS] = batched_logits(network.logits, photos.batches(), step=step)
            for artifact in artifacts:
                logits[artifact.name] = artifact_logits(artifact, photos.batches(), step)
        classified = {
            name: ClassifiedPhotos(
                name=name,
                class_names=network.class_names,
                photos=photos.names,
                labels=photos.labels,
                scores=softmax(own),
                float_scores=softmax(logits[KERAS]),
                kind=network.photo_kind,
            )
            for name, own in logits.items()
        }
        chosen = default_artifact(artifacts)
        shown = [item.name for item in artifacts] if self.artifacts else [KERAS if chosen is None else chosen.name]

        def load(photo: int) -> Pixels:
            return network.load(photos.paths[photo])

        pictures = [picture for name in shown for picture in classified[name].pictures(self.tiles, load)]
        return Section(
            title=self.title,
            sentences=[*(classified[name].sentence for name in shown), *network.photo_doubts],
            pictures=pictures,
            tables=[_table(list(classified.values()))],
            figures={"photos": len(photos), "artifacts": [item.figures(self.tiles) for item in classified.values()]},
        )


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
        kind: what the photos are called.
    """

    name: str
    class_names: Sequence[str]
    photos: Sequence[str]
    labels: Indices
    scores: Logits
    float_scores: Logits
    kind: str = "test photos"

    @property
    def predictions(self) -> Indices:
        found: Indices = self.scores.argmax(axis=1)
        return found

    @property
    def confidence(self) -> Logits:
        found: Logits = self.scores.max(axis=1)
        return found

    @property
    def top1(self) -> tuple[float, tuple[float, float]]:
        """The fraction of correct photos, and its 95% Wilson interval."""
        total = len(self.photos)
        right = total - len(self.wrong)
        return right / total, wilson_interval(right, total)

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
        sentence = f"{self.name} gets {len(wrong)} of {total} {self.kind} wrong"
        if wrong:
            first = wrong[0]
            sentence += (
                f"; its most confident error predicts {self.class_names[self.predictions[first]]} for a photo of"
                f" {self.class_names[self.labels[first]]} with score {self.confidence[first]:.3f}"
            )
        if self.name == KERAS:
            return sentence + "."
        return sentence + f"; it disagrees with the Keras model on {len(self.disagreeing)}."

    def pictures(self, most: int, load: Callable[[int], Pixels]) -> list[Picture]:
        """Returns grids of at most ``most`` errors and disagreements; ``load`` reads a photo by index."""
        kinds = (
            ("wrong", self.wrong, self._wrong_tile, "most confident errors"),
            ("disagreeing", self.disagreeing, self._disagreeing_tile, "disagreements with the Keras model"),
        )
        captions = {
            "wrong": "Misclassified photos, the most confident first: true class → prediction (score).",
            "disagreeing": "Photos for which the two models predict different classes; ✓ marks the correct one.",
        }
        return [
            Grid(
                name=f"confusions-{slug(self.name)}-{kind}",
                title=f"{self.name}: {title}",
                caption=captions[kind],
                tiles=[tile(photo, load(photo)) for photo in photos[:most]],
                columns=5,
                tile_width=enlarged_width(load(photos[0]), WIDTH),
            )
            for kind, photos, tile, title in kinds
            if photos
        ]

    def _wrong_tile(self, photo: int, pixels: Pixels) -> Tile:
        label = self.class_names[self.labels[photo]]
        prediction = scored(self.class_names[self.predictions[photo]], self.confidence[photo])
        return self._tile(photo, pixels, f"{label} → {prediction}", f"{label} classified as {prediction}")

    def _disagreeing_tile(self, photo: int, pixels: Pixels) -> Tile:
        right = self.labels[photo]
        lines = []
        for name, scores in ((self.name, self.scores), ("Keras", self.float_scores)):
            predicted = int(scores[photo].argmax())
            tick = " ✓" if predicted == right else ""
            lines.append(f"{name}: {scored(self.class_names[predicted], scores[photo, predicted])}{tick}")
        return self._tile(photo, pixels, "\n".join(lines), f"{self.class_names[right]}. {'; '.join(lines)}")

    def _tile(self, photo: int, pixels: Pixels, label: str, alt: str) -> Tile:
        return Tile(pixels, f"{self.photos[photo]}\n{label}", f"{alt} ({self.photos[photo]})")

    def figures(self, most: int) -> dict[str, Any]:
        top1, interval = self.top1
        disagreeing = self.disagreeing
        return {
            "artifact": self.name,
            "top1": top1,
            "interval": list(interval),
            "wrong": len(self.wrong),
            "disagreeing": len(disagreeing),
            "surest_errors": [self._figures_of(photo) for photo in self.wrong[:most]],
            "disagreements": [
                {**self._figures_of(photo), "float_prediction": self.class_names[self.float_scores[photo].argmax()]}
                for photo in disagreeing[:most]
            ],
        }

    def _figures_of(self, photo: int) -> dict[str, Any]:
        return {
            "photo": self.photos[photo],
            "class": self.class_names[self.labels[photo]],
            "prediction": self.class_names[self.predictions[photo]],
            "score": float(self.confidence[photo]),
        }


def _table(classified: Sequence[ClassifiedPhotos]) -> Table:
    rows = []
    for item in classified:
        wrong, (top1, interval) = item.wrong, item.top1
        confidence = f"{item.confidence[wrong[0]]:.3f}" if wrong else ABSENT
        disagreeing = ABSENT if item.name == KERAS else str(len(item.disagreeing))
        rows.append((item.name, f"{top1:.3f} ({interval_text(interval)})", str(len(wrong)), confidence, disagreeing))
    return Table(
        caption=f"{len(classified[0].photos)} {classified[0].kind}",
        headings=("artifact", "top-1 (95% interval)", "wrong", "most confident error", "disagrees with Keras"),
        rows=rows,
    )


KIND = Confusions()
