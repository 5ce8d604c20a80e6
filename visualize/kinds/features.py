"""Feature maps: the outputs of chosen layers for a photo, channel by channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from tledge.core.images import Floats
from tledge.core.number_text import counted
from tledge.core.progress import Progress
from tledge.visualize.colours import apply_colour_map, overlay, positive_part, resize_map, stretch
from tledge.visualize.layers import feature_maps, find_layers
from tledge.visualize.photo_choice import Photo, PhotoKind
from tledge.visualize.pictures import Grid, Picture, Tile, enlarged_width, slug
from tledge.visualize.section import Section
from tledge.visualize.visualized_model import VisualizedModel

STRONGEST = 5
"""Number of channels shown over the photo."""

SMALL, LARGE = 80, 128
"""Widths of tiles in pixels."""


@dataclass(frozen=True)
class Features(PhotoKind):
    """Feature maps of some layers, each scaled from its smallest to its largest value.

    Attributes:
        layers: layer names; default the last layer of each feature map size.
        channels: number of channels shown per layer, from the first on.
    """

    title: ClassVar[str] = "Features: what the layers respond to"
    order: ClassVar[int] = 1
    reference: ClassVar[str] = "Zeiler and Fergus, arXiv 1311.2901"

    images: int = 1
    layers: Sequence[str] = ()
    channels: int = 32

    def show(self, network: VisualizedModel, progress: Progress) -> Section:
        layers = find_layers(network.model, self.layers)
        photos = self.choose_photos(network)
        pictures: list[Picture] = []
        figures: list[list[dict[str, Any]]] = []
        with progress.step("features", len(photos), "photos") as step:
            for photo in photos:
                maps = feature_maps(network.model, layers, photo.pixels[np.newaxis])
                responses = [_LayerResponse(layer.name, found[0]) for layer, found in zip(layers, maps, strict=True)]
                for response in responses:
                    pictures += [response.strongest_grid(photo), response.channel_grid(photo, self.channels)]
                figures.append([response.figures() for response in responses])
                step.advance()
        depths = [layer.name for layer in network.model.layers]
        return Section(
            title=self.title,
            sentences=_sentences(sorted(figures[0], key=lambda own: depths.index(own["layer"])), photos[0]),
            pictures=pictures,
            figures={
                "photos": [{"photo": photo.name, "layers": own} for photo, own in zip(photos, figures, strict=True)]
            },
            reference=self.reference,
        )


@dataclass(frozen=True)
class _LayerResponse:
    """The feature maps of one layer for one photo.

    Attributes:
        layer: name of the layer.
        maps: float32 (h, w, channels).
    """

    layer: str
    maps: Floats

    @cached_property
    def strengths(self) -> dict[int, float]:
        """The mean of each channel's positive values, by channel, the strongest first."""
        means = np.maximum(self.maps, 0).mean(axis=(0, 1))
        return {int(channel): float(means[channel]) for channel in np.argsort(-means, kind="stable")}

    @property
    def heading(self) -> str:
        height, width, channels = self.maps.shape
        return f"{self.layer}: {counted(channels, 'channels')} of {height}\u00a0×\u00a0{width}"

    def strongest_grid(self, photo: Photo) -> Grid:
        side = photo.pixels.shape[:2]
        tiles = [Tile(photo.pixels, photo.name, f"The photo {photo.name}")]
        for channel, mean in islice(self.strengths.items(), STRONGEST):
            heat = positive_part(resize_map(self.maps[..., channel], side))
            label = f"channel {channel}\nmean {mean:.2f}"
            tiles.append(Tile(overlay(photo.pixels, heat), label, f"Where channel {channel} of {self.layer} is active"))
        return Grid(
            name=f"features-{slug(photo.name)}-{slug(self.layer)}-strongest",
            title=self.heading,
            caption="The strongest channels over the photo; bright where they are active.",
            tiles=tiles,
            columns=STRONGEST + 1,
            tile_width=enlarged_width(photo.pixels, LARGE),
        )

    def channel_grid(self, photo: Photo, most: int) -> Grid:
        count = min(most, self.maps.shape[-1])
        shown = ((channel, apply_colour_map(stretch(self.maps[..., channel]))) for channel in range(count))
        tiles = [Tile(pixels, str(channel), f"Channel {channel} of {self.layer}") for channel, pixels in shown]
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
                {"channel": channel, "mean": mean} for channel, mean in islice(self.strengths.items(), STRONGEST)
            ],
        }


def _sentences(layers: Sequence[dict[str, Any]], photo: Photo) -> list[str]:
    """Returns the findings for a photo; ``layers`` holds figures in order from the input."""
    first, last = layers[0], layers[-1]
    sentences = []
    if first["height"] * first["width"] > last["height"] * last["width"]:
        sentences.append(
            f"From {_size(first)} in {first['layer']} to {_size(last)} in {last['layer']}: early layers show edges"
            " and colours in their exact place, late layers show what is in the photo, but only roughly where."
        )
    silent = f"{last['silent']:,} {'is' if last['silent'] == 1 else 'are'} inactive on {photo.name}"
    return [*sentences, f"Of the {last['channels']:,} channels of {last['layer']}, {silent}."]


def _size(figures: dict[str, Any]) -> str:
    return f"{figures['height']}\u00a0×\u00a0{figures['width']}"


KIND = Features()
