"""Ideal images: inputs that maximize the logit of a class, made from noise by gradient ascent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tledge.core.images import Pixels
from tledge.core.progress import Progress
from tledge.edge_runtime.tensor import softmax
from tledge.visualize.activation_maximization import Ascent, AscentOptions, ascend
from tledge.visualize.kind import Kind
from tledge.visualize.logit_gradients import LogitGradient
from tledge.visualize.pictures import Animation, Grid, Picture, Tile, beside, enlarge, enlarged_width, slug
from tledge.visualize.section import Section, Table
from tledge.visualize.total_variation import total_variation
from tledge.visualize.visualized_model import VisualizedModel, artifact_logits

WIDTH, ANIMATED_WIDTH = 224, 128
"""Minimum widths in pixels; the animation is smaller because noise makes large files."""

MILLISECONDS = 120
MOST_CLASSES = 3
"""Number of classes shown by default."""

REACHED = 0.5
"""The score that an ideal image has at least; below it, the search failed."""

WITHOUT, WITH = 0, 1


@dataclass(frozen=True)
class Ideal(Kind):
    """Activation maximization, with and without the total-variation term.

    Attributes:
        classes: classes to show; default the first three.
        tv: weight of the total-variation term; more is smoother.
        l2, jitter, scales, steps, seed: see ``AscentOptions``.
    """

    title: ClassVar[str] = "Ideal images of a class"
    order: ClassVar[int] = 3
    reference: ClassVar[str] = (
        "Simonyan, Vedaldi and Zisserman, arXiv 1312.6034; Mahendran and Vedaldi, arXiv 1412.0035"
    )

    classes: Sequence[str] = ()
    tv: float = 0.3
    l2: float = 0.01
    jitter: int = 8
    scales: int = 4
    steps: int = 192
    seed: int = 0

    def why_not(self, network: VisualizedModel) -> str:
        return network.needs_head

    def show(self, network: VisualizedModel, progress: Progress) -> Section:
        options = AscentOptions(steps=self.steps, l2=self.l2, jitter=self.jitter, scales=self.scales, seed=self.seed)
        options.check(network.input_size)
        names = tuple(dict.fromkeys(self.classes)) or network.class_names[:MOST_CLASSES]
        targets = [network.class_index(name) for name in names]
        gradient = LogitGradient(network.model)
        found = []
        with progress.step("ideal images", len(names) * self.steps, "steps") as step:
            for name, target in zip(names, targets, strict=True):
                weights = (0.0, self.tv)
                ascent = ascend(
                    gradient, target, network.input_size, weights=weights, options=options, advance=step.advance
                )
                found.append(_IdealImages(name, ascent, *_scores(network, gradient, ascent.images, target)))
                step.mark(found[-1].sentence)
        pictures = [picture for item in found for picture in item.pictures()]
        return Section(
            title=self.title,
            sentences=[f"{item.sentence}." for item in found],
            pictures=pictures,
            tables=[_table(found)],
            figures={"classes": [item.figures() for item in found]},
            reference=self.reference,
        )


@dataclass(frozen=True)
class _IdealImages:
    """The two images of one class.

    Attributes:
        name: name of the class.
        ascent: the images without and with the total-variation term.
        scores: (2,), softmax scores of the class for the 8-bit images.
        logits: (2,), logits of the class.
        variations: (2,), total variations.
        artifacts: score of the smooth image by artifact.
    """

    name: str
    ascent: Ascent
    scores: list[float]
    logits: list[float]
    variations: list[float]
    artifacts: dict[str, float]

    @property
    def ratio(self) -> float:
        """Total variation with the term divided by that without it."""
        return self.variations[WITH] / self.variations[WITHOUT]

    @property
    def failed(self) -> bool:
        """Whether the network does not even take the smooth image for the class."""
        return self.scores[WITH] < REACHED

    @property
    def sentence(self) -> str:
        return (
            f"{self.name}: {'no ideal image found, ' * self.failed}"
            f"score {self.scores[WITH]:.4f} with the total-variation term and {self.scores[WITHOUT]:.4f}"
            f" without it; the term reduces the total variation to {self.ratio:.1%}"
        )

    def pictures(self) -> list[Picture]:
        labels = ("without the total-variation term", "with the total-variation term")
        tiles = []
        for image, label, score, tv in zip(self.ascent.images, labels, self.scores, self.variations, strict=True):
            text = f"{label}\n{self.name} ({score:.4f}), TV {tv:.1f}"
            tiles.append(Tile(image, text, f"The ideal image of {self.name} {label}, score {score:.4f}"))
        failure = (
            f"The search failed: the image with the total-variation term scores only {self.scores[WITH]:.4f}, so it"
            " does not show what the network looks for. More steps, a smaller weight of that term, or a backbone with"
            " pretrained weights can help. "
        )
        frames = [beside([enlarge(image, ANIMATED_WIDTH) for image in frame]) for frame in self.ascent.frames]
        return [
            Grid(
                name=f"ideal-{slug(self.name)}",
                title=f"No ideal {self.name} found" if self.failed else f"The ideal {self.name}",
                caption=f"{failure * self.failed}Both start from the same noise with the same steps and jitter. TV, the"
                " total variation, is the mean absolute difference of neighbouring pixel values.",
                tiles=tiles,
                columns=2,
                tile_width=enlarged_width(self.ascent.images[0], WIDTH),
            ),
            Animation(
                name=f"ideal-{slug(self.name)}",
                title="",
                caption=f"All {self.ascent.frame_steps[-1]} steps, without the term (left) and with it (right).",
                frames=frames,
                milliseconds=MILLISECONDS,
                alt=f"Noise becomes the two ideal images of {self.name}",
            ),
        ]

    def figures(self) -> dict[str, Any]:
        return {
            "class": self.name,
            "score": self.scores[WITH],
            "score_without_tv": self.scores[WITHOUT],
            "logit": self.logits[WITH],
            "logit_without_tv": self.logits[WITHOUT],
            "total_variation": self.variations[WITH],
            "total_variation_without_tv": self.variations[WITHOUT],
            "total_variation_ratio": self.ratio,
            "artifacts": self.artifacts,
        }


def _scores(
    network: VisualizedModel, gradient: LogitGradient, images: Pixels, target: int
) -> tuple[list[float], list[float], list[float], dict[str, float]]:
    """Returns scores, logits and total variations of the 8-bit images, and the score by each artifact."""
    logits, _ = gradient(images.astype(np.float32), np.full(len(images), target, np.intp))
    artifacts = {
        artifact.name: float(softmax(artifact_logits(artifact, images[WITH:]))[0, target])
        for artifact in network.artifacts
    }
    variations = [float(value) for value in total_variation(images)]
    scores = [float(value) for value in softmax(logits)[:, target]]
    return scores, [float(value) for value in logits[:, target]], variations, artifacts


def _table(found: Sequence[_IdealImages]) -> Table:
    """Returns the scores of the images, by model and class."""
    rows = [
        ("model.keras, without TV", *(f"{item.scores[WITHOUT]:.4f}" for item in found)),
        ("model.keras", *(f"{item.scores[WITH]:.4f}" for item in found)),
    ]
    for name in found[0].artifacts:
        rows.append((name, *(f"{item.artifacts[name]:.4f}" for item in found)))
    return Table(
        caption="Score of each class's image, made with the total-variation term unless stated otherwise",
        headings=("model", *(item.name for item in found)),
        rows=rows,
    )


KIND = Ideal()
