"""What a backbone is: the shape of every module in ``train/backbones``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tledge.core.errors import OptionError
from tledge.core.registry import Registry

LARGEST_IMAGE_SIZE = 1024
"""Pixels; above it a training batch fits no ordinary machine."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A convolutional network without its classification head.

    Attributes:
        application: the name of its function in ``keras.applications``.
        preprocess: from RGB pixel values 0 to 255 (N, height, width, 3) to what the network was trained on,
            as Keras layers, so that it becomes part of the graph.
        minimum_image_size: the least height and width, in pixels.
        default_image_size: what the published weights were trained at, in pixels.
        full_learning_rate: the highest learning rate for training every layer from random weights.
        reference: the paper.
    """

    application: str
    preprocess: Callable[[Any], Any]
    minimum_image_size: int
    default_image_size: int
    full_learning_rate: float
    reference: str

    def check_image_size(self, image_size: int) -> None:
        """Raises OptionError where the network cannot take images of that height and width."""
        if not self.minimum_image_size <= image_size <= LARGEST_IMAGE_SIZE:
            raise OptionError(
                f"{self.application} cannot take images of {image_size} px; choose --image-size between"
                f" {self.minimum_image_size} and {LARGEST_IMAGE_SIZE} (its weights were trained at"
                f" {self.default_image_size})"
            )

    def build(self, image_size: int, weights: str | None) -> Any:
        """Builds the network on its own, without its head and its preprocessing.

        Args:
            image_size: height and width in pixels.
            weights: "imagenet" (downloaded by Keras) or None for random ones.

        Returns:
            A ``keras.Model`` from (N, image_size, image_size, 3) to a feature map (N, h, w, channels).
        """
        return self._construct(input_shape=(image_size, image_size, 3), weights=weights)

    def connect(self, image: Any) -> Any:
        """Continues a graph: preprocessing, then the network with random weights.

        Args:
            image: a symbolic Keras tensor of RGB pixel values 0 to 255, (N, height, width, 3).

        Returns:
            The symbolic feature map, (N, h, w, channels).
        """
        return self._construct(input_tensor=self.preprocess(image), weights=None).output

    def _construct(self, **options: Any) -> Any:
        import keras

        return getattr(keras.applications, self.application)(include_top=False, **options)


BACKBONES = Registry[Backbone]("tledge.train.backbones", "backbone", "BACKBONE", Backbone)
