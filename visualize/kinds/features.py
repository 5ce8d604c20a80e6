"""Feature maps: what chosen layers make of a photo, channel by channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tledge.core.errors import OptionError
from tledge.core.progress import Progress
from tledge.visualize.colours import coloured, overlaid, positive_share, resized, stretched
from tledge.visualize.file_names import slug
from tledge.visualize.kind import Kind
from tledge.visualize.layers import feature_maps, find_layers
from tledge.visualize.photo_choice import Photo, PhotoChoice
from tledge.visualize.pictures import Grid, Picture, Tile, enlarged_width
from tledge.visualize.section import Section
from tledge.visualize.visualized_model import VisualizedModel

Floats = npt.NDArray[np.float32]

STRONGEST = 5
"""Channels that are laid over the photo."""

SMALL, LARGE = 80, 128
"""Widths of tiles, in pixels."""


@dataclass(frozen=True)
class Features(Kind):
    """Feature maps of some layers, each stretched from its smallest to its largest value.

    Attributes:
        photos: image files; test photos of the run without them.
        classes: of the test photos; all without them.
        images: how many test photos.
        layers: by name; the last one of each size of feature map without them.
        channels: how many of each layer are shown, from the first on.
        seed: of the choice of photos.
    """

    title: ClassVar[str] = "Feature maps"
    reference: ClassVar[str] = "Zeiler and Fergus, arXiv 1311.2901"

    photos: Sequence[Path] = ()
    classes: Sequence[str] = ()
    images: int = 1
    layers: Sequence[str] = ()
    channels: int = 32
    seed: int = 0

    def why_not(self, subject: VisualizedModel) -> str:
        return "" if self.photos or subject.directory else f"{subject.needs_run}, or name a photo with --photo"

    def show(self, subject: VisualizedModel, progress: Progress) -> Section:
        if self.channels < 1:
            raise OptionError(f"--channels must be 1 or more; received {self.channels}")
        layers = find_layers(subject.model, self.layers)
        photos = PhotoChoice(self.photos, self.classes, self.images, self.seed).load(subject)
        pictures: list[Picture] = []
        told: list[list[dict[str, Any]]] = []
        with progress.step("features", len(photos), "photos") as step:
            for photo in photos:
                maps = feature_maps(subject.model, layers, photo.pixels[np.newaxis])
                looks = [_Look.at(layer.name, found[0]) for layer, found in zip(layers, maps, strict=True)]
                for look in looks:
                    pictures += [look.strongest_grid(photo), look.channel_grid(photo, self.channels)]
                told.append([look.figures() for look in looks])
                step.advance()
        depths = [layer.name for layer in subject.model.layers]
        return Section(
            title=self.title,
            sentences=_sentences(sorted(told[0], key=lambda own: depths.index(own["layer"])), photos[0]),
            pictures=pictures,
            figures={"photos": [{"photo": photo.name, "layers": own} for photo, own in zip(photos, told, strict=True)]},
            reference=self.reference,
        )


@dataclass(frozen=True)
class _Look:
    """One layer on one photo.

    Attributes:
        layer: its name.
        maps: float32 (h, w, channels).
        strengths: (channels,), the mean of what is above 0.
        order: the channels, the strongest first.
    """

    layer: str
    maps: Floats
    strengths: Floats
    order: list[int] = field(default_factory=list)

    @classmethod
    def at(cls, layer: str, maps: Floats) -> _Look:
        strengths = np.maximum(maps, 0).mean(axis=(0, 1))
        return cls(layer, maps, strengths, [int(channel) for channel in np.argsort(-strengths, kind="stable")])

    @property
    def heading(self) -> str:
        height, width, channels = self.maps.shape
        return f"{self.layer}: {channels:,} channels of {height} × {width}"

    def strongest_grid(self, photo: Photo) -> Grid:
        side = photo.pixels.shape[:2]
        tiles = [Tile(photo.pixels, photo.name, f"The photo {photo.name}")]
        for channel in self.order[:STRONGEST]:
            heat = positive_share(resized(self.maps[..., channel], side))
            label = f"channel {channel}\nmean {self.strengths[channel]:.2f}"
            tiles.append(Tile(overlaid(photo.pixels, heat), label, f"Where channel {channel} of {self.layer} answers"))
        return Grid(
            name=f"features-{slug(photo.name)}-{slug(self.layer)}-strongest",
            title=self.heading,
            caption="The strongest channels over the photo: bright where they answer.",
            tiles=tiles,
            columns=STRONGEST + 1,
            tile_width=enlarged_width(photo.pixels, LARGE),
        )

    def channel_grid(self, photo: Photo, most: int) -> Grid:
        count = min(most, self.maps.shape[-1])
        tiles = [
            Tile(
                coloured(stretched(self.maps[..., channel])),
                f"{channel}",
                f"Channel {channel} of {self.layer}",
            )
            for channel in range(count)
        ]
        return Grid(
            name=f"features-{slug(photo.name)}-{slug(self.layer)}",
            title="",
            caption=f"Channels 0 to {count - 1}, each from its smallest value (dark) to its largest (yellow).",
            tiles=tiles,
            columns=8,
            tile_width=SMALL,
        )

    def figures(self) -> dict[str, Any]:
        height, width, channels = self.maps.shape
        return {
            "layer": self.layer,
            "height": height,
            "width": width,
            "channels": channels,
            "silent": int((self.maps <= 0).all(axis=(0, 1)).sum()),
            "strongest": [
                {"channel": channel, "mean": float(self.strengths[channel])} for channel in self.order[:STRONGEST]
            ],
        }


def _sentences(layers: Sequence[dict[str, Any]], photo: Photo) -> list[str]:
    """What figures of layers, from the image on, say of a photo."""
    first, last = layers[0], layers[-1]
    sentences = []
    if first["height"] * first["width"] > last["height"] * last["width"]:
        sentences.append(
            f"From {_size(first)} in {first['layer']} to {_size(last)} in {last['layer']}: the layers near the image"
            " keep its edges and colours, those near the answer keep what is there and lose where."
        )
    silent = f"{last['silent']:,} are silent on {photo.name}"
    return [*sentences, f"Of {last['channels']:,} channels of {last['layer']}, {silent}."]


def _size(figures: dict[str, Any]) -> str:
    return f"{figures['height']} × {figures['width']}"


KIND = Features()
