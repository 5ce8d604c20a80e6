"""The description of a backbone and its preprocessing; each module in ``train/backbones`` holds one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tledge.core.errors import OptionError, UnknownNameError
from tledge.core.registry import Registry

LARGEST_IMAGE_SIZE = 1024
"""Pixels. A training batch of larger images does not fit in memory."""

LARGEST_ALPHA = 4.0

IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
"""Mean blue, green and red of the ImageNet photos, 0 to 255, which Caffe's models subtract."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A convolutional network without its classification head.

    Attributes:
        application: the name of its function in ``keras.applications``.
        preprocess: takes RGB pixel values 0 to 255, (N, height, width, 3), and returns what the network was trained
            on. It adds Keras layers, so that preprocessing is part of the graph.
        full_learning_rate: the peak learning rate for training every layer from random weights.
        stages: the first layer of each stage, from the image on; a stage halves the feature map.
        reference: the paper.
        minimum_image_size: the smallest height and width, in pixels.
        default_image_size: the image size of the published weights, in pixels.
        widths: the width multipliers (``alpha``) with ImageNet weights; empty if the family has one width.
        options: other arguments of its function in ``keras.applications``.
    """

    application: str
    preprocess: Callable[[Any], Any]
    full_learning_rate: float
    stages: tuple[str, ...]
    reference: str
    minimum_image_size: int = 32
    default_image_size: int = 224
    widths: tuple[float, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def check_image_size(self, image_size: int) -> None:
        """Raises OptionError if the network does not support images of that height and width."""
        if not self.minimum_image_size <= image_size <= LARGEST_IMAGE_SIZE:
            raise OptionError(
                f"{self.application} does not support images of {image_size} px; choose an `image_size` between"
                f" {self.minimum_image_size} and {LARGEST_IMAGE_SIZE} (its weights were trained at"
                f" {self.default_image_size})"
            )

    def check_alpha(self, alpha: float, *, imagenet: bool) -> None:
        """Raises OptionError if the family does not have that width, or lacks ImageNet weights that are needed."""
        if not self.widths:
            if alpha != 1.0:
                raise OptionError(f"{self.application} has one width; received `alpha={alpha:g}`: leave it out")
            return
        if imagenet and alpha not in self.widths:
            raise OptionError(
                f"there are no ImageNet weights of {self.application} at `alpha={alpha:g}`; choose one of"
                f" {', '.join(f'{width:g}' for width in self.widths)}, or pass a file or 'none' as `weights`"
            )
        if not 0 < alpha <= LARGEST_ALPHA:
            raise OptionError(f"`alpha` must be above 0 and at most {LARGEST_ALPHA:g}; received {alpha:g}")

    def first_layer_of(self, stage: int | str) -> str:
        """Returns the first layer that fine-tuning from ``stage`` trains.

        Args:
            stage: a number from 1, counted from the image; or the name of any layer with weights.

        Raises:
            OptionError: there is no stage of that number.
            UnknownNameError: there is no layer of that name; the network is built, with random weights, to check it.
        """
        if isinstance(stage, str) and not stage.isdigit():
            # Keras generates the names of layers without weights; they differ between models.
            layers = [layer.name for layer in self.build(self.default_image_size, None).layers if layer.weights]
            if stage not in layers:
                raise UnknownNameError("stage", stage, (*map(str, range(1, len(self.stages) + 1)), *layers))
            return stage
        number = int(stage)
        if not 1 <= number <= len(self.stages):
            raise OptionError(
                f"{self.application} has no stage {number}; `fine_tune_from` takes 1 to {len(self.stages)}"
                f" ({', '.join(self.stages)}) or the name of a layer"
            )
        return self.stages[number - 1]

    def build(self, image_size: int, weights: str | None, *, alpha: float = 1.0) -> Any:
        """Builds the network without head and preprocessing.

        Args:
            image_size: height and width in pixels.
            weights: "imagenet" (downloaded by Keras) or None for random ones.
            alpha: the width multiplier.

        Returns:
            A ``keras.Model`` from (N, image_size, image_size, 3) to a feature map (N, h, w, channels).
        """
        return self._construct(alpha, input_shape=(image_size, image_size, 3), weights=weights)

    def connect(self, image: Any, alpha: float = 1.0) -> Any:
        """Adds preprocessing and the network, with random weights, to a graph.

        Args:
            image: a symbolic Keras tensor of RGB pixel values 0 to 255, (N, height, width, 3).
            alpha: the width multiplier.

        Returns:
            The symbolic feature map, (N, h, w, channels).
        """
        return self._construct(alpha, input_tensor=self.preprocess(image), weights=None).output

    def _construct(self, alpha: float, **options: Any) -> Any:
        import keras

        width = {"alpha": alpha} if self.widths else {}
        return getattr(keras.applications, self.application)(include_top=False, **width, **self.options, **options)


def scale_to_plus_minus_one(pixels: Any) -> Any:
    """Converts RGB 0..255 to RGB -1..1 ("tf" mode of ``keras.applications``): the MobileNets and ResNet V2."""
    import keras

    return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale_to_plus_minus_one")(pixels)


def subtract_mean_bgr(pixels: Any) -> Any:
    """Converts RGB 0..255 to BGR minus the ImageNet mean ("caffe" mode of ``keras.applications``): ResNet V1 and VGG.

    A frozen 1 x 1 convolution does both exactly: it multiplies by 0 and 1, and adds once. Every runtime has a fast
    kernel for it, but not for a reversed slice.
    """
    import keras

    swap = keras.layers.Conv2D(3, 1, trainable=False, name="subtract_mean_bgr")
    converted = swap(pixels)
    swap.set_weights([np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3), -np.array(IMAGENET_MEAN_BGR, np.float32)])
    return converted


BACKBONES = Registry[Backbone]("tledge.train.backbones", "backbone", "BACKBONE", Backbone)
