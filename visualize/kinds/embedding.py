"""A map of the photos of a test split: photos with similar features lie close together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tledge.core.errors import DataError
from tledge.core.extras import require
from tledge.core.progress import Progress, Step
from tledge.visualize.kind import Kind
from tledge.visualize.photo_choice import BATCH_SIZE, LabelledPhotos
from tledge.visualize.pictures import Plot
from tledge.visualize.plots import PhotoMap, scatter
from tledge.visualize.section import Section, Table
from tledge.visualize.visualize_options import FEWEST_POINTS, METHODS
from tledge.visualize.visualized_model import VisualizedModel

Floats = npt.NDArray[np.floating[Any]]

NEIGHBOURS = 5
PERPLEXITY = 30.0
LISTED = 12
"""Misclassified photos listed in the table."""


@dataclass(frozen=True)
class Embedding(Kind):
    """The features before the head, projected to two dimensions.

    Attributes:
        method: "pca" or "tsne".
        points: number of test photos, balanced over the classes.
        seed: seed of the choice and of t-SNE.
    """

    title: ClassVar[str] = "A map of photos"
    order: ClassVar[int] = 6
    reference: ClassVar[str] = "Pearson 1901 (PCA); van der Maaten and Hinton 2008 (t-SNE)"

    method: str = "pca"
    points: int = 1000
    seed: int = 0

    def why_not(self, network: VisualizedModel) -> str:
        return network.needs_run

    def show(self, network: VisualizedModel, progress: Progress) -> Section:
        require("sklearn", extra="train", purpose="a map of photos")
        photos = LabelledPhotos.of(network, count=self.points, seed=self.seed)
        if len(photos) < FEWEST_POINTS:
            raise DataError(f"a map needs {FEWEST_POINTS} test photos or more; the run has {len(photos)}")
        with progress.step("features", len(photos), "photos") as step:
            features, logits = _features(network.model, photos, step)
        predictions = logits.argmax(axis=1)
        points, axes, explained = _PROJECTIONS[self.method](features, self.seed)
        same_class = _same_class_fraction(features, photos.labels)
        wrong = np.flatnonzero(predictions != photos.labels)
        names = network.class_names
        photo_map = PhotoMap(points=points, labels=photos.labels, predictions=predictions, class_names=names, axes=axes)
        sentences = [
            f"{len(wrong)} of {len(photos)} {network.photo_kind} are misclassified. Of each photo's {NEIGHBOURS}"
            f" nearest neighbours in feature space, {same_class:.1%} belong to its class.",
            *network.photo_doubts,
        ]
        if explained is not None:
            sentences.append(
                "PCA finds the directions in which the features vary most: the first two explain"
                f" {explained:.1%} of the variance of {features.shape[1]:,} features."
            )
        plot = Plot(
            name=f"embedding-{self.method}",
            title="",
            caption="Each point is a photo, in the colour and marker of its class; rings mark wrong predictions.",
            chart=scatter(photo_map),
            alt=f"A map of {len(photos)} photos of {', '.join(names[:LISTED])}; {len(wrong)} are misclassified",
        )
        return Section(
            title=self.title,
            sentences=sentences,
            pictures=[plot],
            tables=_tables(wrong, photos, predictions, network),
            figures={
                "method": self.method,
                "photos": len(photos),
                "wrong": [photos.names[int(photo)] for photo in wrong],
                "nearest_of_same_class": same_class,
                "explained_variance": explained,
                "points": [
                    {"photo": name, "class": names[label], "prediction": names[predicted], "x": float(x), "y": float(y)}
                    for name, label, predicted, (x, y) in zip(
                        photos.names, photos.labels, predictions, points, strict=True
                    )
                ],
            },
            reference=self.reference,
        )


def _features(model: Any, photos: LabelledPhotos, step: Step) -> tuple[Floats, Floats]:
    """Computes the input of the head, standardized, and the logits: float32 (N, features) and (N, classes)."""
    import keras

    both = keras.Model(model.input, [model.layers[-1].input, model.output])
    both.jit_compile = keras.backend.backend() == "jax"  # TensorFlow's XLA is many times slower on a CPU
    features, logits = [], []
    for part in photos.batches():
        batch = np.zeros((BATCH_SIZE, *part.shape[1:]), np.float32)  # one shape, so that it compiles once
        batch[: len(part)] = part
        batch_features, batch_logits = both.predict_on_batch(batch)
        features.append(np.asarray(batch_features, np.float32)[: len(part)].reshape(len(part), -1))
        logits.append(np.asarray(batch_logits, np.float32)[: len(part)])
        step.advance(len(part))
    values = np.concatenate(features)
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1), np.concatenate(logits)


def _by_pca(features: Floats, seed: int) -> tuple[Floats, tuple[str, str], float | None]:
    from sklearn.decomposition import PCA

    pca = PCA(n_components=2, random_state=seed)
    points = pca.fit_transform(features)
    shares = np.nan_to_num(pca.explained_variance_ratio_).tolist()  # NaN if all features are equal
    first, second = (f"component {number} ({share:.1%} of the variance)" for number, share in enumerate(shares, 1))
    return points, (first, second), sum(shares)


def _by_tsne(features: Floats, seed: int) -> tuple[Floats, tuple[str, str], float | None]:
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    tsne = TSNE(n_components=2, perplexity=perplexity, init="pca", random_state=seed)
    return tsne.fit_transform(features), ("t-SNE, first axis", "t-SNE, second axis"), None


_PROJECTIONS: Mapping[str, Callable[[Floats, int], tuple[Floats, tuple[str, str], float | None]]] = dict(
    zip(METHODS, (_by_pca, _by_tsne), strict=True)
)
"""From standardized features (N, features) and a seed to points (N, 2), axis names, and the variance explained."""


def _same_class_fraction(features: Floats, labels: npt.NDArray[np.intp]) -> float:
    """Returns the fraction of nearest neighbours, by standardized features, that belong to the photo's own class."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(features)
    nearest = search.kneighbors(return_distance=False)  # excludes the photo itself
    return float((labels[nearest] == labels[:, np.newaxis]).mean())


def _tables(
    wrong: npt.NDArray[np.intp], photos: LabelledPhotos, predictions: npt.NDArray[np.intp], network: VisualizedModel
) -> list[Table]:
    if not len(wrong):
        return []
    names = network.class_names
    more = f", the first {LISTED} of {len(wrong)}" if len(wrong) > LISTED else ""
    return [
        Table(
            caption=f"Misclassified photos{more}",
            headings=("photo", "class", "prediction"),
            rows=[
                (photos.names[photo], names[photos.labels[photo]], names[predictions[photo]])
                for photo in wrong[:LISTED]
            ],
        )
    ]


KIND = Embedding()
