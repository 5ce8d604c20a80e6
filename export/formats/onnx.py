"""ONNX, by tf2onnx, quantized by ONNX Runtime's own quantizer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.errors import ConversionError
from tledge.core.images import Pixels
from tledge.export.format import Format
from tledge.export.recipes import Recipe

OPSET = 17
REDUCED_LEVELS = 64
"""The largest integer of a 7-bit weight as ONNX Runtime's ``reduce_range`` makes it."""

BATCH = "batch"
"""The name of the open dimension."""


class Onnx(Format):
    """https://onnx.ai"""

    recipes = ("float32", "float16", "dynamic", "int8")
    modules = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "sympy")
    distributions = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime")

    def convert(self, model: Any, recipe: Recipe, calibration: Pixels | None) -> bytes:
        from tledge.export.onnx_weights import store_as_float16, store_as_int8
        from tledge.export.weight_rounding import round_weights

        if recipe.name == "int8":
            if calibration is None:
                raise ConversionError("int8 needs calibration images; none were given")
            rounded = round_weights(model, calibration, levels=REDUCED_LEVELS)
            converted = _quantize(_to_onnx(rounded), calibration)
        elif recipe.name == "float16":
            converted = store_as_float16(_to_onnx(model))
        elif recipe.name == "dynamic":
            # ONNX Runtime's own dynamic quantization has one scale for a whole layer's weights and a slow
            # convolution: MobileNetV2 fell from 0.97 to 0.59 on photos, and took three times as long as in float.
            converted = store_as_int8(_to_onnx(model))
        else:
            converted = _to_onnx(model)
        content: bytes = converted.SerializeToString()
        return content


def _to_onnx(model: Any) -> Any:
    """An ``onnx.ModelProto`` from uint8 ``image`` (batch, height, width, 3) to float32 ``logits``."""
    import tf2onnx

    from tledge.export.concrete_function import freeze

    function = freeze(model, "uint8", batch=None)
    converted, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=OPSET)
    for value in (*converted.graph.input, *converted.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    return _fold_batch_norms(converted)


def _fold_batch_norms(model: Any) -> Any:
    """Folds the batch norms into the convolutions; tf2onnx leaves those of depthwise ones as Mul and Add."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "folded.onnx")
        quant_pre_process(model, path)
        folded = onnx.load(path)
    used = {node.domain for node in folded.graph.node}
    imports = [opset for opset in folded.opset_import if opset.domain in used]
    del folded.opset_import[:]
    folded.opset_import.extend(imports)
    return folded


def _quantize(model: Any, calibration: Pixels) -> Any:
    """Quantizes weights and activations to 8 bits, in QuantizeLinear and DequantizeLinear pairs."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder:
        quantized = str(Path(folder) / "quantized.onnx")
        quantize_static(
            model,
            quantized,
            _reader(model.graph.input[0].name, calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,  # 7-bit weights: products of 8-bit ones saturate on x86 CPUs without VNNI
        )
        return onnx.load(quantized)


def _reader(name: str, calibration: Pixels) -> Any:
    """The calibration images one by one, in the form that ONNX Runtime's quantizer asks for."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._images: Iterator[Pixels] = iter(calibration)

        def get_next(self) -> dict[str, Pixels] | None:
            image = next(self._images, None)
            return None if image is None else {name: image[np.newaxis]}

    return Reader()


FORMAT = Onnx()
