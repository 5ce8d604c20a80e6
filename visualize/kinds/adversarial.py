"""Adversarial images: photos changed as little as can be until the network takes them for another class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tledge.attacks.loss_gradients import Floats
from tledge.core.errors import OptionError
from tledge.core.images import Pixels
from tledge.core.progress import Progress
from tledge.edge_runtime.classifier import softmax
from tledge.visualize.artifact_logits import answers_of_file
from tledge.visualize.colours import amplified
from tledge.visualize.file_names import slug
from tledge.visualize.kind import Kind
from tledge.visualize.photo_choice import Photo, PhotoChoice
from tledge.visualize.pictures import Grid, Picture, Plot, Tile, enlarged_width
from tledge.visualize.plots import score_curves
from tledge.visualize.section import Section, Table
from tledge.visualize.smallest_eps import SmallestEps, smallest_eps
from tledge.visualize.visualized_model import VisualizedModel

WIDTH = 224
SHOWN = 6
"""Photos of which there are pictures; all are in the table."""


@dataclass(frozen=True)
class Adversarial(Kind):
    """The smallest L-infinity eps at which targeted PGD works, and what each artifact says of the image.

    Attributes:
        photos: image files; test photos of the run that the model gets right without them.
        classes: of the test photos; all without them.
        images: how many test photos.
        target: the class that they are to be taken for; each photo's second without it.
        max_eps: the largest that is tried, in 1/255.
        steps: of the attack, at each eps.
        artifacts: names or files; all of the run without them.
        seed: of the choice of photos and of the attack's random starts.
    """

    title: ClassVar[str] = "Adversarial images"
    reference: ClassVar[str] = "Szegedy et al., arXiv 1312.6199; Madry et al., arXiv 1706.06083"

    photos: Sequence[Path] = ()
    classes: Sequence[str] = ()
    images: int = 4
    target: str | None = None
    max_eps: int = 16
    steps: int = 20
    artifacts: Sequence[str] = ()
    seed: int = 0

    def why_not(self, subject: VisualizedModel) -> str:
        if subject.needs_head or self.photos or subject.directory:
            return subject.needs_head
        return f"{subject.needs_run}, or name a photo with --photo"

    def show(self, subject: VisualizedModel, progress: Progress) -> Section:
        target = None if self.target is None else subject.class_index(self.target)
        artifacts = subject.choose_artifacts(self.artifacts)
        chosen = PhotoChoice(self.photos, self.classes, self.images, self.seed).load(subject, leave_out=target)
        pixels = np.stack([photo.pixels for photo in chosen])
        before = subject.logits(pixels)
        labels = before.argmax(axis=1)
        targets = _targets(subject, chosen, before, target)
        found = smallest_eps(
            subject.model,
            pixels,
            labels,
            targets,
            largest=self.max_eps,
            steps=self.steps,
            seed=self.seed,
            progress=progress,
        )
        attacked = np.stack([item.image for item in found])
        answers = {}
        with progress.step("artifacts", 2 * len(artifacts) * len(chosen), "photos") as step:
            for artifact in artifacts:
                answers[artifact.name] = answers_of_file(artifact, np.concatenate([pixels, attacked]), step)
        scores = softmax(before)
        cases = [
            _Case(
                photo=photo,
                name=subject.class_names[labels[place]],
                score=float(scores[place, labels[place]]),
                target=subject.class_names[targets[place]],
                found=found[place],
                artifacts={
                    name: _Answer.of(subject, said[place], said[len(chosen) + place], int(targets[place]))
                    for name, said in answers.items()
                },
            )
            for place, photo in enumerate(chosen)
        ]
        return Section(
            title=self.title,
            sentences=_sentences(cases, self.max_eps),
            pictures=_pictures(cases, self.steps),
            tables=_tables(cases, self.max_eps),
            figures={"photos": [case.figures() for case in cases]},
            reference=self.reference,
        )


@dataclass(frozen=True)
class _Answer:
    """What an artifact says of an attacked photo.

    Attributes:
        label, score: its answer, and the score of that.
        target_score: that of the target.
        fooled: whether it takes the attacked one for it, and the photo itself not.
        clean_label: its answer to that.
    """

    label: str
    score: float
    target_score: float
    fooled: bool
    clean_label: str

    @classmethod
    def of(cls, subject: VisualizedModel, clean: Floats, attacked: Floats, target: int) -> _Answer:
        scores, answer, before = softmax(attacked), int(attacked.argmax()), int(clean.argmax())
        return cls(
            label=subject.class_names[answer],
            score=float(scores[answer]),
            target_score=float(scores[target]),
            fooled=answer == target != before,
            clean_label=subject.class_names[before],
        )


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One photo, what it was taken for, and what became of it."""

    photo: Photo
    name: str
    score: float
    target: str
    found: SmallestEps
    artifacts: dict[str, _Answer] = field(default_factory=dict)

    @property
    def eps_text(self) -> str:
        return "none" if self.found.eps is None else f"{self.found.eps}/255"

    def grid(self) -> Grid:
        change = self.found.image.astype(np.int16) - self.photo.pixels
        difference, factor = amplified(change)
        after = f"{self.target} {self.found.by_eps[-1]:.3f}"
        tiles = [
            _tile(self.photo.pixels, f"{self.name} {self.score:.3f}", f"The photo {self.photo.name}"),
            _tile(self.found.image, f"{after} · eps {self.eps_text}", "The same photo, attacked"),
            _tile(difference, f"the difference, × {factor:.0f}", f"What was changed, {factor:.0f} times enlarged"),
        ]
        return Grid(
            name=f"adversarial-{slug(self.photo.name)}",
            title=f"{self.photo.name}: {self.name} to {self.target}",
            caption="The photo, the attacked photo, and what was changed around a middle grey.",
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
            "artifacts": {
                name: {
                    "label": answer.label,
                    "score": answer.score,
                    "target_score": answer.target_score,
                    "fooled": answer.fooled,
                    "clean_label": answer.clean_label,
                }
                for name, answer in self.artifacts.items()
            },
        }


def _targets(
    subject: VisualizedModel, photos: Sequence[Photo], logits: Floats, target: int | None
) -> npt.NDArray[np.intp]:
    """The class that each photo is to be taken for. Raises OptionError where it is so already."""
    if target is None:
        return np.argsort(-logits, axis=1, kind="stable")[:, 1]
    scores = softmax(logits)
    for photo, answer, own in zip(photos, logits.argmax(axis=1), scores, strict=True):
        if answer == target:
            raise OptionError(
                f"'{photo.name}' is taken for '{subject.class_names[target]}' already (score {own[target]:.3f}); a"
                " target must be another class than the present one"
            )
    return np.full(len(photos), target, np.intp)


def _tile(pixels: Pixels, label: str, alt: str) -> Tile:
    return Tile(pixels, label, f"{alt}: {label}")


def _sentences(cases: Sequence[_Case], largest: int) -> list[str]:
    reached = [case.found.eps for case in cases if case.found.eps is not None]
    count = len(cases)
    if not reached:
        return [f"None of {count} photos was taken for its target at eps {largest}/255 or less."]
    first, last = cases[0], f"at eps {max(reached)}/255 or less" if max(reached) > 1 else "at eps 1/255"
    if count == 1:
        became = f"from {first.found.by_eps[0]:.3f} to {first.found.by_eps[-1]:.3f}"
        sentences = [f"{first.photo.name} becomes {first.target} at eps {first.eps_text}: its score rises {became}."]
    else:
        half = f"; half of them at {_median(reached)}/255 or less" if max(reached) > 1 else ""
        sentences = [f"{len(reached)} of {count} photos are taken for their target {last}{half}."]
    names = list(cases[0].artifacts)
    worked = [case for case in cases if case.found.eps is not None]
    fooled = {name: sum(case.artifacts[name].fooled for case in worked) for name in names}
    if names:
        told = ", ".join(f"{name} {number}" for name, number in fooled.items())
        sentences.append(f"Of the {len(worked)} images that fool the Keras model, so many fool each artifact: {told}.")
    return sentences


def _median(values: Sequence[int]) -> int:
    return sorted(values)[(len(values) - 1) // 2]


def _pictures(cases: Sequence[_Case], steps: int) -> list[Picture]:
    shown = cases[:SHOWN]
    pictures: list[Picture] = [case.grid() for case in shown]
    target = shown[0].target if len({case.target for case in cases}) == 1 else "the target"
    curves = [(f"{case.photo.name}, eps {case.eps_text}", case.found.scores) for case in shown]
    pictures.append(
        Plot(
            name="adversarial-scores",
            title="The scores along the way",
            caption="At the smallest eps that works: 0 is the photo, 1 a random image within eps, the last the image"
            f" that the attack ends with: of {steps} steps the one that went the farthest.",
            png=score_curves(curves, target),
            alt=f"The score of {target} rises step by step: "
            + "; ".join(f"{label}: from {scores[0]:.2f} to {scores[-1]:.2f}" for label, scores in curves),
        )
    )
    return pictures


def _tables(cases: Sequence[_Case], largest: int) -> list[Table]:
    tried = range(max(len(case.found.by_eps) for case in cases))
    names = list(cases[0].artifacts)
    tables = [
        Table(
            caption=f"Score of the target by eps, in 1/255, up to the smallest that works (at most {largest})",
            headings=("photo", "class", "target", "smallest eps", *(f"at {eps}" for eps in tried)),
            rows=[
                (
                    case.photo.name,
                    f"{case.name} {case.score:.3f}",
                    case.target,
                    case.eps_text,
                    *(f"{case.found.by_eps[eps]:.3f}" if eps < len(case.found.by_eps) else "" for eps in tried),
                )
                for case in cases
            ],
        )
    ]
    if names:
        tables.append(
            Table(
                caption="What each artifact takes the attacked photo for",
                headings=("artifact", "fooled", *(case.photo.name for case in cases[:SHOWN])),
                rows=[
                    (
                        name,
                        f"{sum(case.artifacts[name].fooled for case in cases)} of {len(cases)}",
                        *(f"{case.artifacts[name].label} {case.artifacts[name].score:.3f}" for case in cases[:SHOWN]),
                    )
                    for name in names
                ],
            )
        )
    return tables


KIND = Adversarial()
