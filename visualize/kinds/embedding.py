"""A map of the test photos: those that the backbone finds alike lie near one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tledge.core.errors import DataError, OptionError, UnknownNameError
from tledge.core.extras import require
from tledge.core.images import Pixels
from tledge.core.progress import Progress, Step
from tledge.visualize.kind import Kind
from tledge.visualize.photo_choice import LabelledPhotos
from tledge.visualize.pictures import Plot
from tledge.visualize.plots import Map, scatter
from tledge.visualize.section import Section, Table
from tledge.visualize.visualized_model import VisualizedModel

Floats = npt.NDArray[np.floating[Any]]

BATCH_SIZE = 32
LEAST, MOST = 10, 5000
NEIGHBOURS = 5
PERPLEXITY = 30.0
LISTED = 12
"""Wrong photos that the table lists."""


@dataclass(frozen=True)
class Embedding(Kind):
    """The features before the head, in two dimensions.

    Attributes:
        method: "pca" or "tsne".
        points: how many test photos, of each class in turn.
        seed: of their choice and of t-SNE.
    """

    title: ClassVar[str] = "A map of the test photos"
    reference: ClassVar[str] = "Pearson 1901 (PCA); van der Maaten and Hinton 2008 (t-SNE)"

    method: str = "pca"
    points: int = 1000
    seed: int = 0

    def why_not(self, subject: VisualizedModel) -> str:
        return subject.needs_run

    def show(self, subject: VisualizedModel, progress: Progress) -> Section:
        require("sklearn", extra="train", purpose="a map of photos")
        if self.method not in METHODS:
            raise UnknownNameError("method", self.method, METHODS)
        if not LEAST <= self.points <= MOST:
            raise OptionError(f"--points must be between {LEAST} and {MOST}; received {self.points}")
        photos = LabelledPhotos.load(subject, count=self.points, seed=self.seed)
        if len(photos) < LEAST:
            raise DataError(f"a map needs {LEAST} test photos or more; the run has {len(photos)}")
        with progress.step("features", len(photos), "photos") as step:
            features, logits = _features(subject.model, photos.pixels, step)
        answers = logits.argmax(axis=1)
        places, axes, explained = METHODS[self.method](features, self.seed)
        alike = _alike(features, photos.labels)
        wrong = np.flatnonzero(answers != photos.labels)
        told = Map(places=places, labels=photos.labels, answers=answers, class_names=subject.class_names, axes=axes)
        names = subject.class_names
        sentences = [
            f"{len(wrong)} of {len(photos)} test photos are answered wrongly; of the {NEIGHBOURS} photos whose features"
            f" are nearest to one, {alike:.1%} are of its class."
        ]
        if explained is not None:
            sentences.append(
                f"The two directions hold {explained:.1%} of the variance of {features.shape[1]:,} features."
            )
        plot = Plot(
            name=f"embedding-{self.method}",
            title="",
            caption="Each point is a test photo, in the colour and shape of its class; a ring marks a wrong answer.",
            png=scatter(told),
            alt=f"A map of {len(photos)} test photos of {', '.join(names[:LISTED])}; {len(wrong)} are ringed as wrong",
        )
        return Section(
            title=self.title,
            sentences=sentences,
            pictures=[plot],
            tables=_tables(wrong, photos, answers, subject),
            figures={
                "method": self.method,
                "photos": len(photos),
                "wrong": [photos.names[int(photo)] for photo in wrong],
                "nearest_of_same_class": alike,
                "explained_variance": explained,
                "points": [
                    {
                        "photo": name,
                        "class": names[int(label)],
                        "answer": names[int(answer)],
                        "x": float(x),
                        "y": float(y),
                    }
                    for name, label, answer, (x, y) in zip(photos.names, photos.labels, answers, places, strict=True)
                ],
            },
            reference=self.reference,
        )


def _features(model: Any, pixels: Pixels, step: Step) -> tuple[Floats, Floats]:
    """What the head is given, and what it answers: float32 (N, features) and (N, classes)."""
    import keras

    both = keras.Model(model.input, [model.layers[-1].input, model.output])
    both.jit_compile = keras.backend.backend() == "jax"  # TensorFlow's XLA is many times slower on a CPU
    features, answers = [], []
    for begin in range(0, len(pixels), BATCH_SIZE):
        part = pixels[begin : begin + BATCH_SIZE]
        batch = np.zeros((BATCH_SIZE, *part.shape[1:]), np.float32)  # always the same shape: compiled once
        batch[: len(part)] = part
        found, logits = both.predict_on_batch(batch)
        features.append(np.asarray(found, np.float32)[: len(part)].reshape(len(part), -1))
        answers.append(np.asarray(logits, np.float32)[: len(part)])
        step.advance(len(part))
    return np.concatenate(features), np.concatenate(answers)


def _standardized(features: Floats) -> Floats:
    spread = features.std(axis=0)
    found: Floats = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return found


def _by_pca(features: Floats, seed: int) -> tuple[Floats, tuple[str, str], float | None]:
    from sklearn.decomposition import PCA

    pca = PCA(n_components=2, random_state=seed)
    places = pca.fit_transform(_standardized(features))
    shares = np.nan_to_num(pca.explained_variance_ratio_).tolist()  # of features that are all alike
    first, second = (f"component {number} ({share:.1%} of the variance)" for number, share in enumerate(shares, 1))
    return places, (first, second), sum(shares)


def _by_tsne(features: Floats, seed: int) -> tuple[Floats, tuple[str, str], float | None]:
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    tsne = TSNE(n_components=2, perplexity=perplexity, init="pca", random_state=seed)
    return tsne.fit_transform(_standardized(features)), ("t-SNE, first axis", "t-SNE, second axis"), None


METHODS: Mapping[str, Callable[[Floats, int], tuple[Floats, tuple[str, str], float | None]]] = {
    "pca": _by_pca,
    "tsne": _by_tsne,
}
"""From features (N, features) and a seed to places (N, 2), the names of the axes, and the share of variance."""


def _alike(features: Floats, labels: npt.NDArray[np.intp]) -> float:
    """The share of photos among the nearest ones of each, by their features, that are of its class."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(_standardized(features))
    nearest = search.kneighbors(return_distance=False)  # of the others: none is its own neighbour
    return float((labels[nearest] == labels[:, np.newaxis]).mean())


def _tables(
    wrong: npt.NDArray[np.intp], photos: LabelledPhotos, answers: npt.NDArray[np.intp], subject: VisualizedModel
) -> list[Table]:
    if not len(wrong):
        return []
    listed = wrong[:LISTED]
    more = f", the first {LISTED} of {len(wrong)}" if len(wrong) > LISTED else ""
    return [
        Table(
            caption=f"Answered wrongly{more}",
            headings=("photo", "class", "answer"),
            rows=[
                (photos.names[photo], subject.class_names[photos.labels[photo]], subject.class_names[answers[photo]])
                for photo in listed
            ],
        )
    ]


KIND = Embedding()
