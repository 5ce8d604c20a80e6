"""TFLite, by TensorFlow's own converter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tledge.core.errors import ConversionError
from tledge.core.images import Pixels
from tledge.export.format import Format
from tledge.export.recipes import Recipe

LEVELS = 127
"""The largest integer of an 8-bit weight as the converter makes it."""


class TFLite(Format):
    """https://ai.google.dev/edge/litert/conversion/tensorflow/overview"""

    recipes = ("float32", "float16", "dynamic", "int8")
    modules = ("tensorflow", "keras")
    distributions = ("tensorflow", "keras")

    def convert(self, model: Any, recipe: Recipe, calibration: Pixels | None) -> bytes:
        import tensorflow as tf

        from tledge.export.concrete_function import freeze
        from tledge.export.weight_rounding import round_weights

        integers = recipe.name == "int8"
        if integers and calibration is None:
            raise ConversionError("int8 needs calibration images; none were given")
        if calibration is not None:
            model = round_weights(model, calibration, levels=LEVELS)
        # An integer model takes the pixels as they are; the others begin with a cast to float.
        function = freeze(model, "float32" if integers else "uint8", batch=1)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())
        if recipe.name != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if recipe.name == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if calibration is not None:
            converter.representative_dataset = lambda: _representative(calibration)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.uint8
        converted: bytes = converter.convert()
        return converted


def _representative(calibration: Pixels) -> Iterator[list[Any]]:
    """The calibration images one by one.

    Two pixels in the corner of the first one are set to 0 and 255: the input's range is then exactly that of
    8-bit images, its scale 1 and its zero point 0, and no image needs rescaling on the device.
    """
    for index, pixels in enumerate(calibration):
        image = pixels[np.newaxis].astype(np.float32)
        if index == 0:
            image[0, 0, 0] = 0.0
            image[0, 0, 1] = 255.0
        yield [image]


FORMAT = TFLite()
