"""TFLite, converted by TensorFlow with our own weights, ranges and input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tledge.core.errors import ConversionError
from tledge.export.format import Format, Quantizer
from tledge.export.recipes import Recipe

if TYPE_CHECKING:
    from tledge.export.weight_calibration import CalibratedModel


WIDE_IMAGES = 64
"""Calibration images that set the ranges of 16-bit activations. The converter's own slow kernels measure them; with
65,536 steps, ranges matter less than in 8 bits."""


class TFLite(Format):
    """https://ai.google.dev/edge/litert/conversion/tensorflow/overview

    The files are the same for every CPU: XNNPACK and LiteRT's kernels add integer products in 32 bits.
    """

    recipes = ("float32", "float16", "dynamic", "int8", "int16x8", "qat")
    modules = ("tensorflow", "keras")
    distributions = ("tensorflow", "keras")

    def convert(self, model: Any, recipe: Recipe, calibration: CalibratedModel | None, cpu: str = "any") -> bytes:
        import tensorflow as tf

        from tledge.export.concrete_function import make_converter
        from tledge.export.tflite_graph import finish
        from tledge.export.tflite_quantizer import LEVELS, make_calibrating_converter

        if recipe.calibrated and calibration is None:
            raise ConversionError(f"{recipe.name} needs calibration images; received none")
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
