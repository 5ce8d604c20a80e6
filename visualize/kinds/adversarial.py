"""Adversarial images: the smallest change of a photo that makes the network predict another class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median_low
from typing import Any, ClassVar

import numpy as np

from tledge.attacks.goal import Indices
from tledge.core.errors import OptionError
from tledge.core.images import Floats
from tledge.core.progress import Progress
from tledge.edge_runtime.tensor import softmax
from tledge.visualize.colours import amplify
from tledge.visualize.photo_choice import Photo, PhotoKind
from tledge.visualize.pictures import Grid, Picture, Plot, Tile, enlarged_width, scored, slug
from tledge.visualize.plots import score_curves
from tledge.visualize.section import Section, Table
from tledge.visualize.smallest_eps import SmallestEps, smallest_eps
from tledge.visualize.visualized_model import VisualizedModel, artifact_logits

WIDTH = 224
SHOWN = 6
"""Photos shown as pictures; the table lists all."""


@dataclass(frozen=True)
class Adversarial(PhotoKind):
    """The smallest L-infinity eps at which targeted PGD succeeds, and each artifact's prediction for the image.

    Attributes:
        target: target class; the default is each photo's second most likely class.
        max_eps: largest eps to try, in 1/255.
        steps: attack steps at each eps.
        artifacts: names or files; default all of the run.
    """

    title: ClassVar[str] = "Adversarial images"
    order: ClassVar[int] = 4
    reference: ClassVar[str] = "Szegedy et al., arXiv 1312.6199; Madry et al., arXiv 1706.06083"

    target: str | None = None
    max_eps: int = 16
    steps: int = 20
    artifacts: Sequence[str] = ()

    def why_not(self, network: VisualizedModel) -> str:
        return network.needs_head or super().why_not(network)

    def show(self, network: VisualizedModel, progress: Progress) -> Section:
        target = None if self.target is None else network.class_index(self.target)
        artifacts = network.choose_artifacts(self.artifacts)
        chosen = self.choose_photos(network, leave_out=target)
        pixels = np.stack([photo.pixels for photo in chosen])
        before = network.logits(pixels)
        labels = before.argmax(axis=1)
        targets = _targets(network, chosen, before, target)
        found = smallest_eps(
            network.model,
            pixels,
            labels,
            targets,
            largest=self.max_eps,
            steps=self.steps,
            seed=self.seed,
            progress=progress,
        )
        attacked = np.stack([item.image for item in found])
        logits = {}
        with progress.step("artifacts", 2 * len(artifacts) * len(chosen), "photos") as step:
            for artifact in artifacts:
                logits[artifact.name] = artifact_logits(artifact, np.concatenate([pixels, attacked]), step)
        scores = softmax(before)
        results = [
            _AttackedPhoto(
                photo=photo,
                name=network.class_names[labels[index]],
                score=float(scores[index, labels[index]]),
                target=network.class_names[targets[index]],
                found=found[index],
                artifacts={
                    name: _ArtifactPrediction.of(network, own[index], own[len(chosen) + index], int(targets[index]))
                    for name, own in logits.items()
                },
            )
            for index, photo in enumerate(chosen)
        ]
        return Section(
            title=self.title,
            sentences=_sentences(results, self.max_eps),
            pictures=_pictures(results, self.steps),
            tables=_tables(results, self.max_eps),
            figures={"photos": [result.figures() for result in results]},
            reference=self.reference,
        )


@dataclass(frozen=True)
class _ArtifactPrediction:
    """An artifact's prediction for an attacked photo.

    Attributes:
        label, score: the predicted class and its score.
        target_score: score of the target.
        fooled: whether the artifact predicts the target for the attacked photo and not for the original.
        clean_label: the predicted class of the original.
    """

    label: str
    score: float
    target_score: float
    fooled: bool
    clean_label: str

    @classmethod
    def of(cls, network: VisualizedModel, clean: Floats, attacked: Floats, target: int) -> _ArtifactPrediction:
        scores, predicted, before = softmax(attacked), int(attacked.argmax()), int(clean.argmax())
        return cls(
            label=network.class_names[predicted],
            score=float(scores[predicted]),
            target_score=float(scores[target]),
            fooled=predicted == target != before,
            clean_label=network.class_names[before],
        )


@dataclass(frozen=True, kw_only=True)
class _AttackedPhoto:
    """One photo, its predicted class, and the result of the attack."""

    photo: Photo
    name: str
    score: float
    target: str
    found: SmallestEps
    artifacts: dict[str, _ArtifactPrediction]

    @property
    def eps_text(self) -> str:
        return "none" if self.found.eps is None else f"{self.found.eps}/255"

    def grid(self) -> Grid:
        change = self.found.image.astype(np.int16) - self.photo.pixels
        difference, factor = amplify(change)
        before, after = scored(self.name, self.score), scored(self.target, self.found.by_eps[-1])
        tiles = [
            Tile(self.photo.pixels, f"{self.photo.name}\n{before}", f"The photo: {before}", exact=True),
            Tile(
                self.found.image,
                f"attacked, eps {self.eps_text}\n{after}",
                f"The same photo, attacked: {after}",
                exact=True,
            ),
            Tile(difference, f"difference × {factor:.0f}", f"The difference, amplified {factor:.0f} times"),
        ]
        return Grid(
            name=f"adversarial-{slug(self.photo.name)}",
            title=f"{self.photo.name}: {self.name} to {self.target}",
            caption="The photo, the attacked photo, and their difference, amplified around middle grey. The score of"
            " the class is in brackets.",
            tiles=tiles,
            columns=3,
            tile_width=enlarged_width(self.photo.pixels, WIDTH),
        )

    def figures(self) -> dict[str, Any]:
        return {
            "photo": self.photo.name,
            "class": self.name,
            "score": self.score,
            "target": self.target,
            "eps": self.found.eps,
            "target_score": self.found.by_eps[-1],
            "target_score_by_eps": list(self.found.by_eps),
            "target_score_by_step": list(self.found.scores),
            "artifacts": {name: asdict(prediction) for name, prediction in self.artifacts.items()},
        }


def _targets(network: VisualizedModel, photos: Sequence[Photo], logits: Floats, target: int | None) -> Indices:
    """Returns the target class of each photo. Raises OptionError if a photo is classified as the target already."""
    if target is None:
        return np.argsort(-logits, axis=1, kind="stable")[:, 1]
    scores = softmax(logits)
    for photo, predicted, own in zip(photos, logits.argmax(axis=1), scores, strict=True):
        if predicted == target:
            raise OptionError(
                f"'{photo.name}' is already classified as '{network.class_names[target]}' (score {own[target]:.3f});"
                " choose another target"
            )
    return np.full(len(photos), target, np.intp)


def _sentences(results: Sequence[_AttackedPhoto], largest: int) -> list[str]:
    reached = [result.found.eps for result in results if result.found.eps is not None]
    count = len(results)
    if not reached:
        return [f"None of {count} photos was classified as its target at eps {largest}/255 or less."]
    first, last = results[0], f"at eps {max(reached)}/255 or less" if max(reached) > 1 else "at eps 1/255"
    if count == 1:
        became = f"from {first.found.by_eps[0]:.3f} to {first.found.by_eps[-1]:.3f}"
        sentences = [
            f"{first.photo.name} is classified as {first.target} at eps {first.eps_text}: its score rises {became}."
        ]
    else:
        middle = median_low(reached)
        half = f"; half of them at {middle}/255 or less" if middle < max(reached) else ""
        sentences = [f"{len(reached)} of {count} photos are classified as their target {last}{half}."]
    names = list(results[0].artifacts)
    worked = [result for result in results if result.found.eps is not None]
    fooled = {name: sum(result.artifacts[name].fooled for result in worked) for name in names}
    if names:
        counts = ", ".join(f"{name} {number}" for name, number in fooled.items())
        sentences.append(
            f"Of the {len(worked)} images that fool the Keras model, this many fool each artifact: {counts}."
        )
    return sentences


def _pictures(results: Sequence[_AttackedPhoto], steps: int) -> list[Picture]:
    shown = results[:SHOWN]
    pictures: list[Picture] = [result.grid() for result in shown]
    target = shown[0].target if len({result.target for result in results}) == 1 else "the target"
    curves = [(f"{result.photo.name}, eps {result.eps_text}", result.found.scores) for result in shown]
    pictures.append(
        Plot(
            name="adversarial-scores",
            title="Scores by step",
            caption="At the smallest successful eps. Step 0 is the photo, step 1 a random image within eps, and the"
            f" last point the best image of all {steps} steps.",
            chart=score_curves(curves, target),
            alt=f"Score of {target} by step: "
            + "; ".join(f"{label}: from {scores[0]:.2f} to {scores[-1]:.2f}" for label, scores in curves),
        )
    )
    return pictures


def _tables(results: Sequence[_AttackedPhoto], largest: int) -> list[Table]:
    tried = range(max(len(result.found.by_eps) for result in results))
    names = list(results[0].artifacts)
    tables = [
        Table(
            caption=f"Score of the target by eps, in 1/255, up to the smallest that succeeds (at most {largest})",
            headings=("photo", "class", "target", "smallest eps", *(f"at {eps}" for eps in tried)),
            rows=[
                (
                    result.photo.name,
                    scored(result.name, result.score),
                    result.target,
                    result.eps_text,
                    *(f"{result.found.by_eps[eps]:.3f}" if eps < len(result.found.by_eps) else "" for eps in tried),
                )
                for result in results
            ],
        )
    ]
    if names:
        tables.append(
            Table(
                caption="Each artifact's prediction for the attacked photo",
                headings=("artifact", "fooled", *(result.photo.name for result in results[:SHOWN])),
                rows=[
                    (
                        name,
                        f"{sum(result.artifacts[name].fooled for result in results)} of {len(results)}",
                        *(
                            scored(result.artifacts[name].label, result.artifacts[name].score)
                            for result in results[:SHOWN]
                        ),
                    )
                    for name in names
                ],
            )
        )
    return tables


KIND = Adversarial()
