"""Grad-CAM: a map of the image regions that support a class.

Source: Selvaraju et al., arXiv 1610.02391, equations (1) and (2).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tledge.attacks.goal import Indices
from tledge.core.images import Floats, Pixels
from tledge.visualize.layers import split_at
from tledge.visualize.logit_gradients import LogitGradient

BATCH_SIZE = 8
"""Photos per batch."""


class GradCam:
    """Computes Grad-CAM at one layer of a network.

    Args:
        model: a ``keras.Model`` from pixel values 0 to 255, (N, height, width, 3), to logits.
        layer: name of a layer with feature maps; by default the last one that all connections go through.

    Attributes:
        layer: name of the layer in use.

    Raises:
        UnknownNameError: no layer with feature maps has that name.
        OptionError: a connection bypasses the layer.
        ModelError: the network has no suitable layer.
    """

    def __init__(self, model: Any, layer: str | None = None) -> None:
        self._before, after, self.layer = split_at(model, layer)
        self._gradient = LogitGradient(after)

    def __call__(self, images: Pixels, classes: Indices) -> Floats:
        """Returns the Grad-CAM map of one class for each image.

        Args:
            images: uint8 (N, height, width, 3).
            classes: (N,), index of the class for each image.

        Returns:
            float32 (N, h, w) of the layer's size, no value below 0.
        """
        import keras

        found = []
        for begin in range(0, len(images), BATCH_SIZE):
            part = slice(begin, begin + BATCH_SIZE)
            outputs = self._before(images[part].astype(np.float32), training=False)
            maps = np.asarray(keras.ops.convert_to_numpy(outputs), np.float32)
            _, gradients = self._gradient(maps, classes[part])
            weights = gradients.mean(axis=(1, 2), keepdims=True)  # equation (1)
            found.append(np.maximum((weights * maps).sum(axis=-1), 0))  # equation (2)
        return np.concatenate(found)
