"""TFLite, by TensorFlow's own converter; weights, ranges and what is around them are our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tledge.core.errors import ConversionError
from tledge.export.format import Format, Quantizer
from tledge.export.recipes import Recipe

if TYPE_CHECKING:
    from tledge.export.weight_rounding import CalibratedModel


WIDE_IMAGES = 64
"""Calibration images that 16-bit activations take their ranges from, by the converter's own slow kernels: so many
steps are left over that the ranges need not be found as well as those of 8 bits."""


class TFLite(Format):
    """https://ai.google.dev/edge/litert/conversion/tensorflow/overview

    Its files are the same for every CPU: XNNPACK and LiteRT's kernels sum products of integers in 32 bits.
    """

    recipes = ("float32", "float16", "dynamic", "int8", "int16x8", "qat")
    modules = ("tensorflow", "keras")
    distributions = ("tensorflow", "keras")

    def convert(self, model: Any, recipe: Recipe, calibration: CalibratedModel | None, cpu: str = "any") -> bytes:
        import tensorflow as tf

        from tledge.export.tflite_graph import finish
        from tledge.export.tflite_quantizer import LEVELS, make_calibrating_converter, make_converter

        if recipe.calibrated and calibration is None:
            raise ConversionError(f"{recipe.name} needs calibration images; none were given")
        if calibration is not None and recipe.name != "int16x8":
            return self.quantizer(calibration, cpu).quantize(frozenset())
        if calibration is not None:
            converter = make_calibrating_converter(calibration.rounded(LEVELS), calibration.pixels[:WIDE_IMAGES])
            operators = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            converter.target_spec.supported_ops = [operators]
            return finish(converter.convert())
        converter = make_converter(model)
        if recipe.name != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if recipe.name == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return finish(converter.convert())

    def quantizer(self, calibration: CalibratedModel, cpu: str = "any") -> Quantizer:
        from tledge.export.tflite_quantizer import TFLiteQuantizer

        return TFLiteQuantizer(calibration)


FORMAT = TFLite()
"""TFLite, by TensorFlow's own converter."""
