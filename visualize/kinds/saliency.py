"""Where the network looks: Grad-CAM of the Keras model, and occlusion maps of it and of each artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tledge.core.artifact import Artifact
from tledge.core.errors import OptionError
from tledge.core.extras import require
from tledge.core.progress import Progress, Step
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.classifier import softmax
from tledge.visualize.artifact_logits import answers_of
from tledge.visualize.colours import overlaid, positive_share, resized
from tledge.visualize.file_names import slug
from tledge.visualize.grad_cam import GradCam
from tledge.visualize.kind import Kind
from tledge.visualize.occlusion import Patches, occlusion_map, rank_correlation
from tledge.visualize.photo_choice import Photo, PhotoChoice
from tledge.visualize.pictures import Grid, Tile, enlarged_width
from tledge.visualize.section import Section, Table
from tledge.visualize.visualized_model import VisualizedModel, favourite

Floats = npt.NDArray[np.float32]

KERAS = "model.keras"
WIDTH = 144


@dataclass(frozen=True)
class Saliency(Kind):
    """Grad-CAM beside occlusion maps, of the class that the Keras model answers with.

    Attributes:
        photos: image files; test photos of the run that the model gets right without them.
        classes: of the test photos; all without them.
        images: how many test photos.
        layers: the one of which Grad-CAM is made; the last that all connections go through without it.
        artifacts: names or files; all of the run without them.
        patch: side of the square that is covered, in pixels; a fifth of the photo without it.
        seed: of the choice of photos.
    """

    title: ClassVar[str] = "Where it looks"
    reference: ClassVar[str] = "Selvaraju et al., arXiv 1610.02391; Zeiler and Fergus, arXiv 1311.2901"

    photos: Sequence[Path] = ()
    classes: Sequence[str] = ()
    images: int = 4
    layers: Sequence[str] = ()
    artifacts: Sequence[str] = ()
    patch: int | None = None
    seed: int = 0

    def why_not(self, subject: VisualizedModel) -> str:
        if subject.needs_head or self.photos or subject.directory:
            return subject.needs_head
        return f"{subject.needs_run}, or name a photo with --photo"

    def show(self, subject: VisualizedModel, progress: Progress) -> Section:
        require("scipy", extra="train", purpose="rank correlations")
        if len(self.layers) > 1:
            raise OptionError(f"Grad-CAM is made of one layer; received --layer {len(self.layers)} times")
        artifacts = subject.choose_artifacts(self.artifacts)
        patches = Patches.of(subject.input_size, self.patch)
        cam = GradCam(subject.model, self.layers[0] if self.layers else None)
        photos = PhotoChoice(self.photos, self.classes, self.images, self.seed).load(subject)
        pixels = np.stack([photo.pixels for photo in photos])
        logits = subject.logits(pixels)
        classes = logits.argmax(axis=1)
        heats = cam(pixels, classes)
        maps: list[dict[str, Floats]] = [{} for _ in photos]
        total = len(photos) * (len(artifacts) + 1)
        with progress.step("occlusion", total, "maps") as step:
            for photo, own, target in zip(photos, maps, classes, strict=True):
                own[KERAS] = occlusion_map(subject.logits, photo.pixels, int(target), patches)
                step.advance()
            for artifact in artifacts:
                found = _maps_of(artifact, photos, classes, patches, step)
                for own, occlusion in zip(maps, found, strict=True):
                    own[artifact.name] = occlusion
        looks = [
            _Look(
                photo=photo,
                answer=subject.class_names[target],
                score=float(softmax(answer)[target]),
                cam=resized(heat, subject.input_size),
                maps=own,
                patches=patches,
            )
            for photo, target, answer, heat, own in zip(photos, classes, logits, heats, maps, strict=True)
        ]
        return Section(
            title=self.title,
            sentences=_sentences(looks, artifacts, cam.layer),
            pictures=[look.grid(cam.layer) for look in looks],
            tables=[_table(looks, [artifact.name for artifact in artifacts])],
            figures={"layer": cam.layer, "patch": patches.side, "photos": [look.figures() for look in looks]},
            reference=self.reference,
        )


@dataclass(frozen=True, kw_only=True)
class _Look:
    """One photo.

    Attributes:
        photo: which.
        answer, score: what the Keras model takes it for.
        cam: float32 (height, width), Grad-CAM at the photo's size.
        maps: occlusion maps (rows, columns), by model.
        patches: what was covered.
    """

    photo: Photo
    answer: str
    score: float
    cam: Floats
    maps: Mapping[str, Floats]
    patches: Patches

    @property
    def cam_correlation(self) -> float | None:
        """Of Grad-CAM with the Keras model's occlusion map."""
        return rank_correlation(self.patches.gathered(self.cam), self.maps[KERAS])

    def correlation(self, name: str) -> float | None:
        """Of an artifact's occlusion map with the Keras model's."""
        return rank_correlation(self.maps[name], self.maps[KERAS])

    def grid(self, layer: str) -> Grid:
        tiles = [
            Tile(self.photo.pixels, f"{self.answer} {self.score:.3f}", f"The photo {self.photo.name}"),
            self._tile(self.cam, f"Grad-CAM, {layer}"),
        ]
        for name, occlusion in self.maps.items():
            ranks = "" if name == KERAS else f"\nranks agree {_text(self.correlation(name))}"
            tiles.append(self._tile(self.patches.spread(occlusion), f"{name}{ranks}"))
        return Grid(
            name=f"saliency-{slug(self.photo.name)}",
            title=f"{self.photo.name}: what speaks for {self.answer}",
            caption=f"Bright: Grad-CAM of the Keras model, then by how much the log-odds of {self.answer} fall where a"
            f" square of {self.patches.side} pixels is covered.",
            tiles=tiles,
            columns=5,
            tile_width=enlarged_width(self.photo.pixels, WIDTH),
        )

    def _tile(self, heat: Floats, label: str) -> Tile:
        strongest = np.unravel_index(int(heat.argmax()), heat.shape)
        where = f"{_third(strongest[0], heat.shape[0], 'top', 'middle', 'bottom')}"
        where += f" {_third(strongest[1], heat.shape[1], 'left', 'centre', 'right')}"
        pixels = overlaid(self.photo.pixels, positive_share(heat))
        return Tile(pixels, label, f"{label.splitlines()[0]}: strongest at the {where}")

    def figures(self) -> dict[str, Any]:
        return {
            "photo": self.photo.name,
            "class": self.answer,
            "score": self.score,
            "grad_cam_to_occlusion": self.cam_correlation,
            "rank_correlation": {name: self.correlation(name) for name in self.maps if name != KERAS},
        }


def _maps_of(
    artifact: Artifact, photos: Sequence[Photo], classes: npt.NDArray[np.intp], patches: Patches, step: Step
) -> list[Floats]:
    """An artifact's occlusion map of each photo."""
    found = []
    with Classifier(artifact.path) as classifier:
        for photo, target in zip(photos, classes, strict=True):
            found.append(
                occlusion_map(lambda images: answers_of(classifier, images), photo.pixels, int(target), patches)
            )
            step.advance()
    return found


def _sentences(looks: Sequence[_Look], artifacts: Sequence[Artifact], layer: str) -> list[str]:
    sentences = []
    means = {artifact.name: _mean([look.correlation(artifact.name) for look in looks]) for artifact in artifacts}
    known = {name: mean for name, mean in means.items() if mean is not None}
    asked = favourite([artifact for artifact in artifacts if artifact.name in known])
    if asked is not None:
        count = f"{len(looks)} photo{'s'[: len(looks) != 1]}"
        sentences.append(
            f"Over {count}, the occlusion maps of {asked.name} and of the Keras model agree to {known[asked.name]:.3f}"
            " on which parts of the photo matter more (Spearman's rank correlation, 1 is the same order)."
        )
        furthest = min(known, key=lambda name: known[name])
        if furthest != asked.name:
            sentences.append(f"The artifact that looks elsewhere the most is {furthest}: {known[furthest]:.3f}.")
    cam = _mean([look.cam_correlation for look in looks])
    if cam is not None:
        sentences.append(f"Grad-CAM of {layer} and the Keras model's own occlusion maps agree to {cam:.3f}.")
    return sentences or ["No map differs from place to place: the network does not look at a part of these photos."]


def _table(looks: Sequence[_Look], names: Sequence[str]) -> Table:
    rows = [
        (
            name,
            _text(_mean([look.correlation(name) for look in looks])),
            *(_text(look.correlation(name)) for look in looks),
        )
        for name in names
    ]
    cams = [look.cam_correlation for look in looks]
    rows.append(("Grad-CAM", _text(_mean(cams)), *map(_text, cams)))
    return Table(
        caption="Rank correlation with the occlusion map of the Keras model",
        headings=("map", "mean", *(look.photo.name for look in looks)),
        rows=rows,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _third(place: Any, length: int, *names: str) -> str:
    return names[min(2, 3 * int(place) // length)]


KIND = Saliency()
