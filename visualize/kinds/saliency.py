"""Saliency: Grad-CAM of the Keras model, and occlusion maps of the model and of each artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tledge.core.artifact import Artifact
from tledge.core.errors import OptionError
from tledge.core.extras import require
from tledge.core.images import Floats
from tledge.core.number_text import ABSENT, listed
from tledge.core.progress import Progress
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.batched_logits import LogitsFn
from tledge.edge_runtime.tensor import softmax
from tledge.visualize.colours import overlay, positive_part, resize_map
from tledge.visualize.grad_cam import GradCam
from tledge.visualize.occlusion import Patches, occlusion_map, rank_correlation
from tledge.visualize.photo_choice import Photo, PhotoKind
from tledge.visualize.pictures import Grid, Tile, enlarged_width, scored, slug
from tledge.visualize.section import Section, Table
from tledge.visualize.visualized_model import VisualizedModel, default_artifact

KERAS = "model.keras"
WIDTH = 144
ALIKE = 0.99
"""Rank correlation with the Keras model's map from which a map looks the same and is only shown if it was asked for."""


@dataclass(frozen=True)
class Saliency(PhotoKind):
    """Grad-CAM and occlusion maps for the class predicted by the Keras model.

    Attributes:
        layers: at most one layer, for Grad-CAM; default the last one that all connections go through.
        artifacts: names or files; default all of the run.
        patch: side of the covered square in pixels; default a fifth of the photo.
    """

    title: ClassVar[str] = "Where the network looks"
    order: ClassVar[int] = 2
    reference: ClassVar[str] = "Selvaraju et al., arXiv 1610.02391; Zeiler and Fergus, arXiv 1311.2901"

    layers: Sequence[str] = ()
    artifacts: Sequence[str] = ()
    patch: int | None = None

    def why_not(self, network: VisualizedModel) -> str:
        return network.needs_head or super().why_not(network)

    def show(self, network: VisualizedModel, progress: Progress) -> Section:
        require("scipy", extra="train", purpose="rank correlations")
        if len(self.layers) > 1:
            raise OptionError(f"`layers` must name one layer for Grad-CAM; received {len(self.layers)}")
        artifacts = network.choose_artifacts(self.artifacts)
        patches = Patches.of(network.input_size, self.patch)
        cam = GradCam(network.model, self.layers[0] if self.layers else None)
        photos = self.choose_photos(network)
        pixels = np.stack([photo.pixels for photo in photos])
        logits = network.logits(pixels)
        classes = logits.argmax(axis=1)
        heats = cam(pixels, classes)
        maps: list[dict[str, Floats]] = [{} for _ in photos]
        total = len(photos) * (len(artifacts) + 1)
        with progress.step("occlusion", total, "maps") as step:

            def cover(name: str, model: LogitsFn) -> None:
                for photo, own, target in zip(photos, maps, classes, strict=True):
                    own[name] = occlusion_map(model, photo.pixels, int(target), patches)
                    step.advance()

            cover(KERAS, network.logits)
            for artifact in artifacts:
                with Classifier(artifact.path) as classifier:
                    cover(artifact.name, classifier.logits)
        photo_maps = [
            _SaliencyMaps(
                photo=photo,
                predicted=network.class_names[target],
                score=float(softmax(own_logits)[target]),
                cam=resize_map(heat, network.input_size),
                maps=own,
                patches=patches,
            )
            for photo, target, own_logits, heat, own in zip(photos, classes, logits, heats, maps, strict=True)
        ]
        return Section(
            title=self.title,
            sentences=_sentences(photo_maps, artifacts, cam.layer),
            pictures=[item.grid(cam.layer, every=bool(self.artifacts)) for item in photo_maps],
            tables=[_table(photo_maps, [artifact.name for artifact in artifacts])],
            figures={"layer": cam.layer, "patch": patches.side, "photos": [item.figures() for item in photo_maps]},
            reference=self.reference,
        )


@dataclass(frozen=True, kw_only=True)
class _SaliencyMaps:
    """The maps of one photo.

    Attributes:
        photo: the photo.
        predicted, score: class predicted by the Keras model and its score.
        cam: float32 (height, width), Grad-CAM resized to the photo.
        maps: occlusion maps (rows, columns), by model.
        patches: the covered squares.
    """

    photo: Photo
    predicted: str
    score: float
    cam: Floats
    maps: Mapping[str, Floats]
    patches: Patches

    @property
    def cam_correlation(self) -> float | None:
        """Rank correlation of Grad-CAM with the Keras model's occlusion map."""
        return rank_correlation(self.patches.gathered(self.cam), self.maps[KERAS])

    def correlation(self, name: str) -> float | None:
        """Returns the rank correlation of an artifact's occlusion map with the Keras model's."""
        return rank_correlation(self.maps[name], self.maps[KERAS])

    def grid(self, layer: str, *, every: bool) -> Grid:
        """Returns the maps; without ``every``, those that look like the Keras model's are named in the caption only."""
        tiles = [
            Tile(
                self.photo.pixels,
                f"{self.photo.name}\n{scored(self.predicted, self.score)}",
                f"The photo {self.photo.name}",
            ),
            self._tile(self.cam, f"Grad-CAM, {layer}"),
        ]
        alike = [name for name in self.maps if not every and name != KERAS and (self.correlation(name) or 0) >= ALIKE]
        same = f" The maps of {listed(alike, len(alike))} look like that of {KERAS}: they are left out." * bool(alike)
        for name, occlusion in self.maps.items():
            if name in alike:
                continue
            correlation = "" if name == KERAS else f"\nrank correlation {_text(self.correlation(name))}"
            tiles.append(self._tile(self.patches.spread(occlusion), f"{name}{correlation}"))
        return Grid(
            name=f"saliency-{slug(self.photo.name)}",
            title=f"{self.photo.name}: evidence for {self.predicted}",
            caption=f"Bright areas support the prediction {self.predicted}. First Grad-CAM of the Keras model: where"
            " the features of its last layers raise the score. Then occlusion maps: how much a file's log-odds decrease"
            f" when a square of {self.patches.side} pixels is covered.{same}",
            tiles=tiles,
            columns=5,
            tile_width=enlarged_width(self.photo.pixels, WIDTH),
        )

    def _tile(self, heat: Floats, label: str) -> Tile:
        strongest = np.unravel_index(int(heat.argmax()), heat.shape)
        where = f"{_third(strongest[0], heat.shape[0], 'top', 'middle', 'bottom')}"
        where += f" {_third(strongest[1], heat.shape[1], 'left', 'centre', 'right')}"
        pixels = overlay(self.photo.pixels, positive_part(heat))
        return Tile(pixels, label, f"{label.splitlines()[0]}: strongest at the {where}")

    def figures(self) -> dict[str, Any]:
        return {
            "photo": self.photo.name,
            "class": self.predicted,
            "score": self.score,
            "grad_cam_to_occlusion": self.cam_correlation,
            "rank_correlation": {name: self.correlation(name) for name in self.maps if name != KERAS},
        }


def _sentences(photo_maps: Sequence[_SaliencyMaps], artifacts: Sequence[Artifact], layer: str) -> list[str]:
    sentences = []
    means = {artifact.name: _mean([item.correlation(artifact.name) for item in photo_maps]) for artifact in artifacts}
    known = {name: mean for name, mean in means.items() if mean is not None}
    compared = default_artifact([artifact for artifact in artifacts if artifact.name in known])
    if compared is not None:
        count = f"{len(photo_maps)} photo{'s'[: len(photo_maps) != 1]}"
        sentences.append(
            f"The occlusion maps of {compared.name} and the Keras model have a mean rank correlation (Spearman: 1 if"
            f" they rank all areas alike, 0 if they are unrelated) of {known[compared.name]:.3f} over {count}."
        )
        furthest = min(known, key=lambda name: known[name])
        if furthest != compared.name:
            sentences.append(f"The artifact with the lowest correlation is {furthest}: {known[furthest]:.3f}.")
    cam = _mean([item.cam_correlation for item in photo_maps])
    if cam is not None:
        sentences.append(
            f"Grad-CAM of {layer} and the Keras model's occlusion maps have a rank correlation of {cam:.3f}."
        )
    return sentences or ["All maps are constant: no part of these photos changes the prediction more than another."]


def _table(photo_maps: Sequence[_SaliencyMaps], names: Sequence[str]) -> Table:
    rows = [
        (
            name,
            _text(_mean([item.correlation(name) for item in photo_maps])),
            *(_text(item.correlation(name)) for item in photo_maps),
        )
        for name in names
    ]
    cams = [item.cam_correlation for item in photo_maps]
    rows.append(("Grad-CAM", _text(_mean(cams)), *map(_text, cams)))
    return Table(
        caption="Rank correlation with the occlusion map of the Keras model",
        headings=("map", "mean", *(item.photo.name for item in photo_maps)),
        rows=rows,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _text(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.3f}"


def _third(index: Any, length: int, *names: str) -> str:
    return names[min(2, 3 * int(index) // length)]


KIND = Saliency()
