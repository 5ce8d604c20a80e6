"""The preprocessing of each family of backbones, as layers inside the graph."""

from __future__ import annotations

from typing import Any

IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
"""Mean blue, green and red of the ImageNet photos, 0 to 255, which Caffe's models subtract."""


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
    import numpy as np

    swap = keras.layers.Conv2D(3, 1, trainable=False, name="subtract_mean_bgr")
    converted = swap(pixels)
    swap.set_weights([np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3), -np.array(IMAGENET_MEAN_BGR, np.float32)])
    return converted
